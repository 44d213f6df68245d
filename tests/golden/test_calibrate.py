"""Untrained models: reproducible, and with firing rates like those of trained ones."""

import pytest
import torch

from golden.calibrate import init_model
from golden.config import CONFIGS
from golden.container import digest
from golden.counts import count
from golden.data import fit_images
from golden.integer import run
from golden.layers import LayerKind


def test_a_seed_is_a_model(variant):
    first, again, other = (init_model(variant, seed=seed) for seed in (1, 1, 2))
    assert digest(variant, first.tensors) == digest(variant, again.tensors) != digest(variant, other.tensors)


def test_the_same_model_everywhere(small):
    # A change of this value changes the models that people have made from a seed.
    assert digest(small, init_model(small, seed=1).tensors)[:16] == "54ce62f1bf2f8a48"


def test_other_images(small, bundled):
    images = bundled.images[50:60]
    assert digest(small, init_model(small, seed=1, images=images).tensors) == digest(
        small, init_model(small, seed=1, images=fit_images(images, channels=3, size=16)).tensors
    )


@pytest.mark.parametrize("dim", [48, 64, 96])
@pytest.mark.parametrize("windows", [1, 4, 16])
def test_firing_rates_on_unseen_images(bundled, dim, windows):
    config = CONFIGS["tiny"].from_dict(CONFIGS["tiny"].to_dict() | {"dim": dim, "windows": windows})
    images = bundled.images[20:40]
    trace = run(init_model(config, seed=3), images)
    for layer in count(config, images, trace).layers:
        if layer.layer.kind in (LayerKind.PIXEL_CONV, LayerKind.POOL, LayerKind.CLASSIFIER):
            continue
        low, high = (0.15, 0.5) if layer.layer.input.endswith("input") else (0.04, 0.35)
        assert low < layer.firing_rate < high, layer.layer.name
    for name in ("mask", "qa", "ka"):
        assert trace.values[f"blocks.0.{name}"].any(), name
    assert len(set(trace.predictions.tolist())) > 1


def test_every_write_and_shift_is_used(small):
    tensors = init_model(small, seed=1).tensors
    shifts = torch.cat([tensors[name] for name in tensors if name.endswith(".shift")])
    assert set(shifts.tolist()) == {0, 1, 2, 3}
    assert all(tensors[name].any() for name in tensors)


@pytest.mark.parametrize("percent", [5, 30, 60])
def test_all_neurons_at_one_rate(small, bundled, percent):
    images = bundled.images[:8]
    model = init_model(small, seed=1, images=images, percent=percent)
    spikes = run(model, fit_images(images, channels=3, size=small.image_size)).values
    for name in ("conv2", "conv3", "conv4", "blocks.0.input", "blocks.0.k", "blocks.0.fc1"):
        assert spikes[name].float().mean() == pytest.approx(percent / 100, rel=0.4), name
