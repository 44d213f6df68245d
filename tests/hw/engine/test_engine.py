"""The event engine as a whole, for words of several beats and of one, and for timesteps that do not divide a pixel."""

from dataclasses import asdict

import pytest

from hw.config import HardwareConfig
from hw.engine.engine import Engine
from sim.runner import run_bench

CONFIGS = (
    HardwareConfig(
        name="wide", lanes=16, bus_bytes=8, beat_channels=4, word_channels=16, weight_depth=512, fifo_depth=8
    ),
    HardwareConfig(
        name="odd",
        lanes=12,
        timesteps=3,
        passes=2,
        bus_bytes=4,
        beat_channels=4,
        word_channels=4,
        acc_bits=17,
        weight_depth=512,
        fifo_depth=16,
    ),
)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_currents_are_those_of_the_integer_model(config):
    result = run_bench(
        Engine(config=config),
        "sim.benches.engine.engine",
        parameters=asdict(config) | {"state_spacing": 9},
    )
    assert set(result.tests) == {
        "every_kind_of_layer",
        "late_weights_and_holds",
        "corners",
        "accumulators_wrap",
        "timing",
        "sparse_layers",
        "reset_in_the_middle",
    }
