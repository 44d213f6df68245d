"""Any number of timesteps on any parallel width: whole networks, in as many passes as it takes."""

import dataclasses

import pytest

from golden.calibrate import init_model
from golden.config import ModelConfig
from golden.data import NO_LABEL
from hw.config import HardwareConfig
from sim.cosim import cosim
from sim.simulate import Simulator

MODEL = ModelConfig(name="small", dim=16, depth=1, image_size=16)
TIMESTEPS = (1, 2, 3, 5, 7, 10, 16)
# All divisions of the 16 tokens, with every kind of input.
WINDOWS = {"pixels": (1, 4, 16), "events": (4, 16, 1)}


@pytest.fixture(scope="module", params=[1, 2, 4], ids="width {}".format)
def hardware(request):
    """An accelerator of a parallel width for up to 16 timesteps, and its simulator."""
    width = request.param
    config = HardwareConfig(
        name=f"width-{width}",
        lanes=16,
        timesteps=width,
        passes=16 // width,
        bus_bytes=4,
        word_channels=16,
        weight_depth=1024,
        spike_depth=16384,
    )
    with Simulator(config=config, stall=0.1, seed=width) as simulator:
        yield config, simulator


@pytest.mark.parametrize("kind", WINDOWS)
@pytest.mark.parametrize("timesteps", TIMESTEPS)
def test_bit_exact(timesteps, kind, hardware, inputs):
    config, simulator = hardware
    windows = WINDOWS[kind][TIMESTEPS.index(timesteps) % 3]
    model = init_model(dataclasses.replace(MODEL, timesteps=timesteps, input=kind, windows=windows), seed=timesteps)
    result = cosim(model, inputs(model.config, 2), [NO_LABEL] * 2, config=config, engine=simulator)
    assert [str(mismatch) for mismatch in result.mismatches] == []
