"""The loaders, two components in one build."""

from dataclasses import asdict

from hw.config import HardwareConfig
from hw.memory.loader import BlockLoader, PixelLoader
from sim.runner import run_bench
from tests.hw.side_by_side import SideBySide

# Three patterns of three bits hold the eight bits of a pixel, with a zero on top.
CONFIG = HardwareConfig(
    name="odd",
    lanes=12,
    beat_channels=4,
    word_channels=8,
    timesteps=3,
    bus_bytes=4,
    weight_depth=16,
    param_depth=16,
    tap_depth=8,
    program_depth=32,
)


def test_programs_and_pixels_reach_their_memories():
    parts = SideBySide(program=BlockLoader(config=CONFIG), image=PixelLoader(config=CONFIG))
    result = run_bench(parts, "sim.benches.memory.loader", parameters=asdict(CONFIG))
    assert set(result.tests) == {
        "random_programs",
        "full_rings_stop_the_stream",
        "throughput",
        "reset_in_a_section",
        "random_images",
        "pixels_wait_for_their_image",
        "reset_in_an_image",
    }
