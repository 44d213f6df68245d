from dataclasses import asdict

import pytest

from hw.serial.config import SerialConfig
from hw.serial.walker import Walker
from sim.runner import run_bench

CONFIGS = {
    "16 lanes": SerialConfig(side=8, words=2),
    "8 lanes": SerialConfig(lanes=8, side=8, timesteps=2, words=4),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_items_are_those_of_the_window(config):
    result = run_bench(Walker(config=config), "sim.benches.serial.walker", parameters=asdict(config))
    assert set(result.tests) == {"random_layers_and_stalls", "planes_of_the_largest_map", "reset_in_flight"}
