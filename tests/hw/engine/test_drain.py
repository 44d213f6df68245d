"""The drain."""

from dataclasses import asdict

from hw.config import HardwareConfig
from hw.engine.drain import Drain
from sim.runner import run_bench

# Three beats a group and three patterns a pixel: neither is a power of two.
CONFIG = HardwareConfig(name="odd", lanes=12, beat_channels=4, word_channels=8, timesteps=3, bus_bytes=4, passes=2)


def test_currents_are_those_of_the_integer_model():
    result = run_bench(Drain(config=CONFIG), "sim.benches.engine.drain", parameters=asdict(CONFIG))
    assert set(result.tests) == {"random_layers", "single_beats", "reset_in_flight"}
