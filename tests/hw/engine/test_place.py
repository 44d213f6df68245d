"""The places of output positions."""

from dataclasses import asdict

from hw.config import HardwareConfig
from hw.engine.place import OutputPlace
from sim.runner import run_bench

CONFIG = HardwareConfig(name="odd", lanes=12, beat_channels=4, word_channels=8, timesteps=3, bus_bytes=4, passes=3)


def test_places_are_those_of_the_geometry():
    result = run_bench(OutputPlace(config=CONFIG), "sim.benches.engine.place", parameters=asdict(CONFIG))
    assert set(result.tests) == {"random_layers", "corners", "starts_and_resets_in_the_middle"}
