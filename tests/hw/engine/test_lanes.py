from dataclasses import asdict, replace

import pytest

from hw.config import HARDWARE
from hw.engine.lanes import LaneArray, LaneBeat
from sim.runner import run_bench

SMALL = replace(HARDWARE["small"], acc_bits=12, weight_depth=64)
CONFIGS = {
    "a beat a word": SMALL,
    "a beat in several words": replace(SMALL, beat_channels=8),
    "several beats in a word": replace(SMALL, beat_channels=2, bus_bytes=8, timesteps=3),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_sums_are_those_of_the_weight_rows(config):
    result = run_bench(LaneArray(config=config), "sim.benches.engine.lanes", parameters=asdict(config))
    assert set(result.tests) == {
        "random_positions_and_stalls",
        "weights_arrive_while_others_are_used",
        "corners",
        "timing",
        "reset_in_the_middle",
    }


@pytest.mark.parametrize("number", [-1, 4, "0"])
def test_the_number_of_a_beat(number):
    with pytest.raises(TypeError, match="number must be a beat of a group of 4, not"):
        LaneBeat(config=SMALL, number=number)
