"""Difference, bit-planes and folds, three components in one build."""

from dataclasses import asdict

from hw.config import HardwareConfig
from hw.engine.fold import BitPlanes, Difference, FoldStore
from sim.runner import run_bench
from tests.hw.side_by_side import SideBySide

CONFIG = HardwareConfig(name="odd", lanes=12, beat_channels=4, word_channels=8, timesteps=3, bus_bytes=4)


def test_folds_are_those_of_the_definition():
    parts = SideBySide(
        difference=Difference(config=CONFIG), planes=BitPlanes(config=CONFIG), store=FoldStore(config=CONFIG)
    )
    result = run_bench(parts, "sim.benches.engine.fold", parameters=asdict(CONFIG))
    assert set(result.tests) == {"differences", "weighted_bit_planes", "folds", "reset_in_a_tile"}
