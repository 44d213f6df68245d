"""The default accelerator: the bundled model, and networks of other sizes."""

import dataclasses

import pytest

from golden.calibrate import init_model
from golden.config import CONFIGS
from golden.container import load_model
from golden.data import fit_images, load_bundled
from hw.attention.attention import mask_cycles
from hw.config import HARDWARE
from sim.cosim import cosim
from sim.simulate import Simulator

SHAPES = {
    "D = 48, three timesteps, gray": {"dim": 48, "timesteps": 3, "in_channels": 1, "windows": 16, "depth": 1},
    "one timestep, no aggregation, three blocks": {"timesteps": 1, "windows": 64, "depth": 3},
    "D = 96, 16 pixels": {"dim": 96, "image_size": 16, "depth": 1},
    "16 pixels, two timesteps, one window": {"image_size": 16, "timesteps": 2, "windows": 1},
}


START_UP = 130
"""Cycles of a layer in which pipelines fill and empty, at 64 beats a group."""


@pytest.fixture(scope="module")
def simulator():
    with Simulator(config=HARDWARE["default"]) as simulator:
        yield simulator


def compared(model, simulator, count):
    bundled = load_bundled()
    images = fit_images(bundled.images[:count], channels=model.config.in_channels, size=model.config.image_size)
    return cosim(model, images, bundled.labels[:count].tolist(), config=HARDWARE["default"], engine=simulator)


def test_the_bundled_model_is_bit_exact_and_near_ideal(simulator):
    result = compared(load_model("tiny"), simulator, 3)
    assert [str(mismatch) for mismatch in result.mismatches] == []
    events = [layer for layer in result.layers if layer.kind == "event"]
    for layer in events:
        assert layer.ideal_cycles <= layer.cycles
        # A position that is shorter than its group has channels waits for the drain, and the projection for the mixing;
        # where a map is sparse, now and then the next word with spikes is not there yet.
        if not layer.name.endswith("proj"):
            rest = layer.cycles - layer.ideal_cycles - layer.counters["STALLED"]
            assert rest <= 0.05 * layer.ideal_cycles + 3 * (START_UP + _behind(layer.name)), layer.name


def _behind(name):
    """Cycles in which the last group of a layer is masked, or its counts are written."""
    if name.endswith(".k"):
        return 64 * mask_cycles(HARDWARE["default"])
    return 64 * 3 if name.endswith(("conv5", "fc2")) else 0


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_other_sizes_are_bit_exact(changes, simulator):
    model = init_model(dataclasses.replace(CONFIGS["tiny"], **changes), seed=4)
    assert [str(mismatch) for mismatch in compared(model, simulator, 1).mismatches] == []
