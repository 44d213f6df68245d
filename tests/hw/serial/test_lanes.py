from dataclasses import asdict

import pytest

from hw.serial.config import SerialConfig
from hw.serial.lanes import SerialLanes
from sim.runner import run_bench


@pytest.mark.parametrize("lanes", [8, 16])
def test_sums_are_those_of_the_weight_rows(lanes):
    config = SerialConfig(lanes=lanes, weight_depth=32)
    result = run_bench(SerialLanes(config=config), "sim.benches.serial.lanes", parameters=asdict(config))
    assert set(result.tests) == {"random_events", "largest_sums", "reset_in_the_middle"}
