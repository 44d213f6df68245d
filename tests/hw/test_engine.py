"""The event engine as a whole, for words of several beats and of one, and for timesteps that do not divide a pixel."""

from dataclasses import asdict

import pytest

from hw.config import HARDWARE, HardwareConfig
from hw.engine import Engine
from sim.runner import run_bench

CONFIGS = (
    HARDWARE["small"],
    HardwareConfig(name="odd", lanes=8, timesteps=3, beat_channels=4, word_channels=4, acc_bits=17, fifo_depth=8),
)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_currents_are_those_of_the_integer_model(config):
    result = run_bench(Engine(config=config), "sim.benches.engine", parameters=asdict(config))
    tests = {"every_kind_of_layer", "corners", "accumulators_wrap", "timing", "reset_in_the_middle"}
    assert set(result.tests) == tests
