"""Training goes on from an integer model: exactly from what it computes, and with other thresholds."""

import dataclasses

import pytest
import torch

from golden.calibrate import init_model
from golden.container import load_model
from golden.errors import SaformerError
from golden.integer import IntegerModel, run
from golden.plan import Stage, TrainPlan
from golden.quantise import export, quantise
from golden.restore import ContinuedRecipe, logit_scale, restore
from golden.train import run_training
from tests.golden.test_quantise import assert_same, probe, trained_looking


def same_tensors(one, other):
    return [name for name in one.tensors if not torch.equal(one.tensors[name], other.tensors[name])] == []


def test_every_choice_there_and_back(variant, inputs):
    model = export(quantise(trained_looking(variant, inputs(variant, 20))))
    assert same_tensors(export(restore(model)), model)


def test_all_layers_of_the_bundled_model(bundled):
    model = load_model("tiny")
    restored = restore(model).eval()
    assert same_tensors(export(restored), model)
    assert_same(probe(restored, bundled.images), run(model, bundled.images), model.config)


def test_other_thresholds(bundled):
    model = load_model("tiny")
    config = dataclasses.replace(model.config, aggregate_threshold=0.25, mix_threshold=0.5, timesteps=3)
    restored = restore(model, config=config).eval()
    exported = export(restored)
    different = {name for name in model.tensors if not torch.equal(model.tensors[name], exported.tensors[name])}
    assert different == {"blocks.0.dwc.threshold", "blocks.1.dwc.threshold"}
    assert torch.equal(
        exported.tensors["blocks.0.dwc.threshold"], (model.tensors["blocks.0.dwc.threshold"] / 2).round()
    )
    assert_same(probe(restored, bundled.images), run(exported, bundled.images), config)


def test_the_scale_of_the_logits(bundled):
    """Logits of a hundred times as many units need a scale a hundred times as large."""
    model = load_model("tiny")
    tensors = dict(model.tensors) | {"head.bias": 0 * model.tensors["head.bias"]}
    scale = logit_scale(IntegerModel(config=model.config, tensors=tensors), bundled)
    weight = (tensors["head.weight"] // 4).to(torch.int8)
    smaller = logit_scale(IntegerModel(config=model.config, tensors=tensors | {"head.weight": weight}), bundled)
    assert 3.5 < scale / smaller < 4.5


def test_it_begins_where_the_model_was(bundled, tmp_path):
    model = load_model("tiny")
    recipe = ContinuedRecipe(model, config=model.config, labelled=bundled)
    network = recipe.build(None).eval()
    assert same_tensors(export(network), model)
    with torch.no_grad():
        scores = network.scores(bundled.images.float())
    assert torch.equal(scores.argmax(dim=1), run(model, bundled.images).predictions)
    # Probabilities that say about as much as they are right.
    right = (scores.argmax(dim=1) == bundled.labels).float().mean()
    assert abs(scores.softmax(dim=1).amax(dim=1).mean() - right) < 0.1


def test_killed_run_continues_exactly(small, bundled, inputs, tmp_path):
    images = dataclasses.replace(bundled, images=inputs(small, 100))
    recipe = ContinuedRecipe(init_model(small, seed=1), config=small, labelled=images)
    stage = Stage(name="quantised", epochs=2, timesteps=2, rate=1e-3, quantised=True)
    plan = TrainPlan(config=small, stages=(stage,), batch=20, validation=40, warmup=2, checkpoint_every=2)
    whole, _ = run_training(plan, data=images, folder=tmp_path / "whole", progress=False, recipe=recipe)

    def kill(step):
        if step == 4:
            raise KeyboardInterrupt

    settings = {"data": images, "folder": tmp_path / "parts", "progress": False}
    with pytest.raises(KeyboardInterrupt):
        run_training(plan, **settings, recipe=recipe, on_step=kill)
    other = ContinuedRecipe(init_model(small, seed=2), config=small, labelled=images)
    with pytest.raises(SaformerError, match="belongs to another plan"):
        run_training(plan, **settings, recipe=other)
    parts, _ = run_training(plan, **settings, recipe=recipe)
    assert same_tensors(whole, parts)
    assert not same_tensors(whole, init_model(small, seed=1))


def test_what_cannot_be_gone_on_with(small):
    model = init_model(small, seed=1)
    for change, message in (
        ({"dim": 8}, r"conv1.weight is of shape \[2, 3, 3, 3\], and there of shape \[1, 3, 3, 3\]"),
        ({"depth": 2}, r"blocks.1.q.weight is absent, and there of shape \[16, 16\]"),
        ({"dwc": False}, r"blocks.0.dwc.weight is of shape \[16, 3, 3\], and there absent"),
    ):
        with pytest.raises(SaformerError, match=f"training cannot go on as another network: {message}"):
            restore(model, config=dataclasses.replace(small, **change))
    with pytest.raises(SaformerError, match="thresholds below 1 in conv1: training cannot go on from it"):
        restore(init_model(small, seed=1, percent=60))
    large = {**model.tensors, "conv1.bias": torch.full_like(model.tensors["conv1.bias"], 2**23 - 1)}
    odd = {**large, "conv1.threshold": torch.full_like(model.tensors["conv1.threshold"], 102)}
    with pytest.raises(SaformerError, match=r"conv1\.bias of small has numbers that float32 does not hold exactly"):
        restore(IntegerModel(config=small, tensors=odd))
