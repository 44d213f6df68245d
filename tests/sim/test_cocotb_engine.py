"""The engine in cocotb: the same results in as many cycles as the native one."""

import numpy as np
import pytest

from golden.calibrate import init_model
from golden.config import ModelConfig
from golden.data import fit_images, load_bundled
from golden.events import random_frames
from hw.config import HardwareConfig
from hw.estimate.timelines import ExternalMemory
from sim.cocotb_engine import CocotbEngine
from sim.cosim import cosim
from sim.simulate import Simulator

HARDWARE = HardwareConfig(
    name="test",
    lanes=8,
    passes=2,
    bus_bytes=4,
    beat_channels=4,
    word_channels=8,
    weight_depth=256,
    spike_depth=2048,
    fifo_depth=6,
)
MODEL = ModelConfig(name="small", dim=8, depth=1, image_size=8, timesteps=3, classes=5)
EVENTS = ModelConfig(name="events", dim=16, depth=1, image_size=8, timesteps=6, in_channels=2, input="events")


@pytest.fixture(scope="module")
def native():
    with Simulator(config=HARDWARE) as simulator:
        yield simulator


def compared(config, images, engine):
    result = cosim(init_model(config, seed=3), images, [0] * len(images), config=HARDWARE, engine=engine)
    assert [str(mismatch) for mismatch in result.mismatches] == []
    return result


@pytest.mark.parametrize("latency", [0, 1, 30])
@pytest.mark.parametrize("config", [MODEL, EVENTS], ids=["pixels", "events in two passes"])
def test_both_engines_take_the_same_cycles(config, latency, native):
    frames = random_frames(config, 2).images
    images = frames if config is EVENTS else fit_images(load_bundled().images[:2], channels=3, size=8)
    native.memory = memory = ExternalMemory(latency=latency, bandwidth=4)
    with CocotbEngine(config=HARDWARE, memory=memory) as engine:
        interpreted = compared(config, images, engine)
    expected = compared(config, images, native)
    assert interpreted.cycles == expected.cycles
    assert [layer.counters for layer in interpreted.layers] == [layer.counters for layer in expected.layers]
    assert interpreted.cycles_per_second > 0


@pytest.mark.parametrize("stall", [0.1, 0.9])
def test_stalls_change_no_result(stall):
    images = fit_images(load_bundled().images[:1], channels=3, size=8)
    memory = ExternalMemory(latency=5, bandwidth=2)
    with CocotbEngine(config=HARDWARE, memory=memory, stall=stall, seed=4) as engine:
        result = compared(MODEL, images, engine)
    load = result.layers[0]
    assert load.cycles > 1.05 * load.ideal_cycles
    assert np.all(np.array(result.cycles) > sum(layer.ideal_cycles for layer in result.layers))
