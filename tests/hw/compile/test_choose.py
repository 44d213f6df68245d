"""The hardware that is chosen for a model."""

import dataclasses

import pytest

from golden.calibrate import init_model
from golden.config import CONFIGS, ModelConfig
from golden.errors import SaformerError
from hw.compile.choose import lower_for
from hw.compile.lowering import lower
from hw.compile.memories import memory_bits
from hw.config import AUTOMATIC, HARDWARE

SMALL = ModelConfig(name="small", dim=16, depth=1, image_size=16)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "default"),
        ({"dim": 256, "windows": 16, "image_size": 32}, "paper"),
        ({"timesteps": 16, "input": "events", "in_channels": 2}, "events"),
    ],
    ids=["small", "wide", "sixteen timesteps"],
)
def test_the_smallest_that_the_model_fits(changes, name):
    assert lower_for(init_model(dataclasses.replace(SMALL, **changes), seed=0), None).config.name == name


def test_a_named_one_is_taken():
    assert lower_for(init_model(SMALL, seed=0), "wide").config == HARDWARE["wide"]


def test_a_model_that_fits_none_is_told_why():
    model = init_model(dataclasses.replace(SMALL, reset="soft"), seed=0)
    with pytest.raises(SaformerError, match="reset = hard only"):
        lower_for(model, None)


def test_the_automatic_ones_grow():
    bits = [sum(memory_bits(HARDWARE[name]).values()) for name in AUTOMATIC]
    assert bits == sorted(bits)


@pytest.mark.parametrize("name", ["paper-32", "paper", "paper-128"])
def test_the_network_of_the_paper_fits(name):
    lowered = lower(init_model(dataclasses.replace(CONFIGS["4-384"], depth=1), seed=0), HARDWARE[name])
    # conv5: nine taps of 384 channels.
    assert max(len(block.weights) for block in lowered.program.blocks) == 3456


def test_the_narrow_one_of_the_paper_fits_a_chip():
    """An LFE5U-85F has 208 block RAMs of 18,432 bits."""
    assert sum(memory_bits(HARDWARE["paper-32"]).values()) < 3.5e6
