from dataclasses import asdict

import pytest

from hw.serial.config import SerialConfig
from hw.serial.firing import Firing
from sim.runner import run_bench

CONFIGS = {
    "16 lanes": SerialConfig(side=8, words=2, stream_words=2, current_bits=24),
    "8 lanes": SerialConfig(lanes=8, side=8, timesteps=2, words=4, acc_bits=17, current_bits=25),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_currents_go_where_the_integer_model_has_them(config):
    result = run_bench(Firing(config=config), "sim.benches.serial.firing", parameters=asdict(config))
    assert set(result.tests) == {"random_layers_and_stalls", "reset_in_flight"}
