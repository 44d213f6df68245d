from dataclasses import asdict

import pytest

from hw.serial.config import SerialConfig
from hw.serial.sequencer import SerialSequencer
from sim.runner import run_bench


@pytest.mark.parametrize("lanes", [8, 16])
def test_everything_of_a_group_is_there_before_its_walk(lanes):
    config = SerialConfig(lanes=lanes, weight_depth=128, store_depth=4096)
    result = run_bench(SerialSequencer(config=config), "sim.benches.serial.sequencer", parameters=asdict(config))
    assert set(result.tests) == {"random_programs", "reset_in_flight"}
