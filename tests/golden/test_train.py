"""Training: stages run to the end, a killed run continues exactly, and bad plans are refused."""

import dataclasses
import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from golden.config import ModelConfig
from golden.container import load_container
from golden.data import ImageSet
from golden.errors import SaformerError
from golden.integer import run
from golden.outlook import outlook
from golden.plan import Stage, TrainPlan
from golden.train import has_bfloat16, run_training, split

CONFIG = ModelConfig(name="small", image_size=8, in_channels=1, classes=2, timesteps=2, dim=8, depth=1, windows=1)
STAGES = (
    Stage(name="one-step", epochs=2, timesteps=1, rate=3e-3, final_rate=1e-3),
    Stage(name="all-steps", epochs=1, timesteps=2, rate=1e-3),
    Stage(name="quantised", epochs=2, timesteps=2, rate=1e-3, quantised=True),
)
PLAN = TrainPlan(config=CONFIG, stages=STAGES, batch=8, validation=16, warmup=2, checkpoint_every=3)


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def data():
    """Dark and bright noise: 56 images that can be told apart."""
    generator = torch.Generator().manual_seed(3)
    labels = torch.arange(56) % 2
    noise = torch.randint(128, (56, 1, 8, 8), generator=generator) + 100 * labels.reshape(-1, 1, 1, 1)
    return ImageSet(images=noise.to(torch.uint8), labels=labels, indices=torch.arange(56))


def _kill_after(count):
    """An `on_step` that ends the run at its `count`-th call."""
    calls = []

    def on_step(step):
        calls.append(step)
        if len(calls) == count:
            raise Killed

    return on_step


def _without_times(history):
    times = ("seconds", "images_per_second")
    return [{key: value for key, value in record.items() if key not in times} for record in history]


def _train_in_parts(plan, data, folder, *killed_after):
    """Train at once, and again in parts, which must make no difference; returns the model and the history."""
    whole, history = run_training(plan, data=data, folder=folder / "whole", progress=False)
    for count in killed_after:
        with pytest.raises(Killed):
            run_training(plan, data=data, folder=folder / "parts", on_step=_kill_after(count), progress=False)
    parts, again = run_training(plan, data=data, folder=folder / "parts", progress=False)
    assert all(torch.equal(whole.tensors[name], parts.tensors[name]) for name in whole.tensors)
    assert _without_times(history) == _without_times(again)
    return whole, history


# 5 steps an epoch: in the first epoch, at a checkpoint, on the boundary of two stages, and while quantised.
@pytest.mark.parametrize("killed_after", [[2], [3, 1], [10], [12, 2, 9]])
def test_killed_run_continues_exactly(tmp_path, data, killed_after):
    _train_in_parts(PLAN, data, tmp_path, *killed_after)


def test_bfloat16_until_it_is_quantised(tmp_path, data):
    """It goes on exactly too, and other sums give another model, which is exact where it counts."""
    plan = dataclasses.replace(PLAN, bfloat16=True)
    model, history = _train_in_parts(plan, data, tmp_path, 12)
    _, other = run_training(PLAN, data=data, folder=tmp_path / "float32", progress=False)
    assert [record["loss"] for record in history] != [record["loss"] for record in other]
    _, validation = split(plan, data)
    right = run(model, validation.images).predictions == validation.labels
    assert max(record["validation_accuracy"] for record in history[-2:]) == round(right.double().mean().item(), 4)


@pytest.mark.parametrize(
    ("capabilities", "expected"), [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx2": True}, False)]
)
def test_where_bfloat16_is_fast(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert has_bfloat16("cpu") == expected


def test_an_outlook_changes_nothing(tmp_path, data):
    alone, _ = run_training(PLAN, data=data, folder=tmp_path / "alone", progress=False)
    what = outlook(PLAN, data=data)
    after, _ = run_training(PLAN, data=data, folder=tmp_path / "after", progress=False)
    assert all(torch.equal(alone.tensors[name], after.tensors[name]) for name in alone.tensors)
    assert (what["training"], what["validation"]) == (40, 16)
    assert [(stage["name"], stage["steps"]) for stage in what["stages"]] == [
        ("one-step", 10),
        ("all-steps", 5),
        ("quantised", 10),
    ]
    assert what["seconds"] == sum(stage["seconds"] for stage in what["stages"]) > 0
    # The integer model has a weight for each of the network's, and neither gains nor offsets of batch norms.
    assert what["parameters"] > sum(value.numel() for name, value in alone.tensors.items() if name.endswith("weight"))


def test_result_is_written(tmp_path, data):
    model, history = run_training(PLAN, data=data, folder=tmp_path, progress=False)
    container = load_container(tmp_path / "small.safetensors")
    assert all(torch.equal(model.tensors[name], container.model.tensors[name]) for name in model.tensors)
    assert container.training["history"] == history == json.loads((tmp_path / "history.json").read_text())
    assert [record["stage"] for record in history] == ["one-step"] * 2 + ["all-steps"] + ["quantised"] * 2
    assert container.training["plan"]["seed"] == PLAN.seed


def test_training_learns(tmp_path, data):
    stages = (dataclasses.replace(STAGES[0], epochs=32, rate=1e-2), *STAGES[1:])
    plan = dataclasses.replace(PLAN, stages=stages)
    _, history = run_training(plan, data=data, folder=tmp_path, progress=False)
    assert history[-1]["validation_accuracy"] >= 0.9
    assert history[23]["loss"] < history[0]["loss"]


def test_checkpoint_of_another_plan(tmp_path, data):
    with pytest.raises(Killed):
        run_training(PLAN, data=data, folder=tmp_path, on_step=_kill_after(4), progress=False)
    for changes in ({"seed": 2}, {"convolution_gain": 0.5}, {"rotation": 5.0}):
        with pytest.raises(SaformerError, match="belongs to another plan"):
            run_training(dataclasses.replace(PLAN, **changes), data=data, folder=tmp_path, progress=False)


def test_gains_at_the_start(tmp_path, data):
    plan = dataclasses.replace(PLAN, attention_gain=1.5, convolution_gain=0.25)
    with pytest.raises(Killed):
        run_training(plan, data=data, folder=tmp_path, on_step=_kill_after(3), progress=False)
    model = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    for name, gain in (("q", 1.5), ("k", 1.5), ("dwc", 0.25)):
        # Three steps of training have moved them by no more than the learning rate each.
        weights = model[f"blocks.0.attention.{name}.bn.weight"]
        assert (weights - gain).abs().max() < 3 * STAGES[0].rate + 1e-6
    assert (model["blocks.0.fc1.bn.weight"] - 1).abs().max() < 0.01


def test_later_stages_may_change(tmp_path, data):
    with pytest.raises(Killed):
        run_training(PLAN, data=data, folder=tmp_path, on_step=_kill_after(4), progress=False)
    shorter = dataclasses.replace(PLAN, stages=(STAGES[0], STAGES[2]))
    _, history = run_training(shorter, data=data, folder=tmp_path, progress=False)
    assert [record["stage"] for record in history] == ["one-step"] * 2 + ["quantised"] * 2


def test_damaged_checkpoint(tmp_path, data):
    (tmp_path / "checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(SaformerError, match="is not a training checkpoint"):
        run_training(PLAN, data=data, folder=tmp_path, progress=False)


def test_bad_data(tmp_path, data):
    wrong = dataclasses.replace(data, images=data.images.repeat(1, 3, 1, 1))
    with pytest.raises(SaformerError, match=r"uint8 images of shape \[K, 1, 8, 8\], not uint8 \[56, 3, 8, 8\]"):
        run_training(PLAN, data=wrong, folder=tmp_path, progress=False)
    with pytest.raises(SaformerError, match="the training split has 20; lower validation or batch"):
        run_training(PLAN, data=data.select(count=20), folder=tmp_path, progress=False)


def test_bad_plans():
    with pytest.raises(SaformerError, match=r"last stage .* must be quantised"):
        TrainPlan(config=CONFIG, stages=STAGES[:2])
    with pytest.raises(SaformerError, match="batch must be at least 1, not 0"):
        dataclasses.replace(PLAN, batch=0)
    for changes, message in (
        ({"attention_gain": 0.0}, "attention_gain must be above 0, not 0.0"),
        ({"rotation": 200.0}, "rotation must be 0 to 180 degrees and zoom a share below 1, not 200.0 and 0.0"),
    ):
        with pytest.raises(SaformerError, match=message):
            dataclasses.replace(PLAN, **changes)
    with pytest.raises(SaformerError, match="epochs of stage one-step must be at least 1"):
        dataclasses.replace(STAGES[0], epochs=0)
    with pytest.raises(SaformerError, match="0 <= final_rate <= rate"):
        dataclasses.replace(STAGES[0], final_rate=1.0)


class Teacher(nn.Module):
    """Takes dark for bright, and is sure of it."""

    def scores(self, images, timesteps):
        assert timesteps == 1
        dark = images.mean(dim=(1, 2, 3)) < 110
        return 8.0 * F.one_hot(dark.long(), 2).float()


def test_mixed_and_erased_images_go_on_exactly(tmp_path, data):
    mixed, _ = _train_in_parts(dataclasses.replace(PLAN, mixup=0.4, erase=0.5), data, tmp_path, 9)
    plain, _ = run_training(PLAN, data=data, folder=tmp_path / "plain", progress=False)
    assert not all(torch.equal(mixed.tensors[name], plain.tensors[name]) for name in mixed.tensors)


def test_a_teacher_is_listened_to(tmp_path, data):
    """It is wrong everywhere, and all that is heard: so is what it taught, in spite of the labels."""
    stages = (dataclasses.replace(STAGES[0], epochs=32, rate=1e-2), *STAGES[1:])
    plan = dataclasses.replace(PLAN, stages=stages, teacher="some", teacher_share=1.0)
    _, history = run_training(plan, data=data, folder=tmp_path, teacher=Teacher(), progress=False)
    # At the end of the long stage; with the labels alone it is right in at least 0.9 there.
    assert history[31]["validation_accuracy"] <= 0.1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mixup": -1.0}, "mixup must be at least 0, not -1.0"),
        ({"erase": 1.5}, "erase must be a share from 0 to 1, not 1.5"),
        ({"teacher_share": 2.0}, "teacher_share must be a share from 0 to 1, not 2.0"),
        ({"temperature": 0.0}, "temperature must be above 0, not 0.0"),
        ({"rand_operations": 1}, "RandAugment changes colours: it is not for models without images of three channels"),
        (
            {"rand_magnitude": 31},
            "RandAugment needs a number of changes from 0 on and a magnitude from 1 to 30, not 0 and 31",
        ),
        (
            {"erase": 0.5, "config": dataclasses.replace(CONFIG, input="events")},
            "erase and mixup change pixels: they are not for models with event input",
        ),
    ],
)
def test_bad_augmentation(changes, message):
    with pytest.raises(SaformerError, match=message):
        dataclasses.replace(PLAN, **changes)
