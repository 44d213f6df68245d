"""The figures of `saformer golden`."""

import dataclasses
import json

import pytest
import torch

from golden.calibrate import init_model
from golden.container import load_model
from golden.data import fit_images
from golden.errors import SaformerError
from golden.evaluate import evaluate, predict
from golden.events import BUNDLED_RECORDINGS, NMNIST, load_recordings
from golden.integer import run
from golden.layers import layers


def test_figures(small, bundled):
    model = init_model(small, seed=1)
    images = fit_images(bundled.images[:7], channels=3, size=16)
    labels = run(model, images).predictions.clone()
    labels[3] = (labels[3] + 1) % 10
    result = evaluate(model, images, labels, batch=3)
    assert json.loads(json.dumps(result)) == result
    assert (result["model"], result["images"], result["accuracy"]) == ("small", 7, 6 / 7)
    assert [layer["name"] for layer in result["layers"]] == [layer.name for layer in layers(small)]
    whole = evaluate(model, images, labels, batch=7)
    assert result | {"images_per_second": 0} == whole | {"images_per_second": 0}
    assert result["energy_mj"]["paper"] == 0.49
    by_name = {layer["name"]: layer for layer in result["layers"]}
    # 27 inputs of an output, 16x16 of two channels; and 16x16 neurons of those at four timesteps.
    assert (by_name["conv1"]["multiplications"], by_name["conv1"]["comparisons"]) == (7 * 27 * 512, 7 * 4 * 512)
    assert by_name["conv2"]["multiplications"] == by_name["blocks.0.proj"]["comparisons"] == 0


def test_products_of_numbers_are_counted_apart(small, bundled):
    images = fit_images(bundled.images[:2], channels=3, size=16)
    for changes in ({"mix_neuron": False}, {"neuron": "relu-count"}):
        model = init_model(dataclasses.replace(small, **changes), seed=1)
        layers = {layer["name"]: layer for layer in evaluate(model, images, torch.zeros(2))["layers"]}
        assert layers["blocks.0.proj"]["multiplications"] == layers["blocks.0.proj"]["sops"] > 0
        assert (layers["conv2"]["multiplications"] > 0) == ("neuron" in changes)


def test_bundled_model_classifies(bundled):
    result = evaluate(load_model("tiny"), bundled.images, bundled.labels)
    assert result["accuracy"] == 0.8
    assert 0 < result["energy_mj"]["eq19"] < result["energy_mj"]["paper"]


def test_event_model_classifies():
    model = load_model("events")
    recordings = load_recordings(model.config, "test", BUNDLED_RECORDINGS)
    assert int((predict(model, recordings.images) == recordings.labels).sum()) == 9


@pytest.mark.skipif(not NMNIST.is_in(), reason="SAFORMER_DATA names no folder with N-MNIST")
def test_event_model_classifies_all_recordings_at_hand():
    model = load_model("events")
    recordings = load_recordings(model.config, "test")
    right = predict(model, recordings.images) == recordings.labels
    assert float(right.float().mean()) >= 0.97
    # The mask lives.
    rates = evaluate(model, recordings.images[:20], recordings.labels[:20])["mask_rate"]
    assert all(rate > 0.1 for rate in rates.values())


def test_no_images(small):
    model = init_model(small, seed=1)
    with pytest.raises(SaformerError, match="needs images and as many labels, not 0 and 0"):
        evaluate(model, torch.zeros(0, 3, 16, 16, dtype=torch.uint8), torch.zeros(0))
