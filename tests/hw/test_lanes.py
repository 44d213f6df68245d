from dataclasses import asdict, replace

from hw.config import HARDWARE
from hw.lanes import LaneArray
from sim.runner import run_bench

CONFIG = replace(HARDWARE["small"], acc_bits=12, weight_depth=64)


def test_sums_are_those_of_the_weight_rows():
    result = run_bench(LaneArray(config=CONFIG), "sim.benches.lanes", parameters=asdict(CONFIG))
    assert set(result.tests) == {"random_positions_and_stalls", "corners", "timing", "reset_in_the_middle"}
