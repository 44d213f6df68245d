from dataclasses import asdict, replace

from hw.config import HARDWARE
from hw.engine.walker import Walker
from sim.runner import run_bench

CONFIG = replace(HARDWARE["small"], passes=3)


def test_segments_are_the_windows_of_the_positions():
    result = run_bench(Walker(config=CONFIG), "sim.benches.engine.walker", parameters=asdict(CONFIG))
    assert set(result.tests) == {
        "random_layers",
        "late_rows_and_holds",
        "corners",
        "timing",
        "reset_in_the_middle",
    }
