from dataclasses import asdict

import pytest

from hw.serial.config import SerialConfig
from hw.serial.emitter import SerialEmitter
from sim.runner import run_bench


@pytest.mark.parametrize("lanes", [8, 16])
def test_events_are_the_spikes_of_the_words(lanes):
    config = SerialConfig(lanes=lanes, side=4, words=2, weight_depth=128)
    result = run_bench(SerialEmitter(config=config), "sim.benches.serial.emitter", parameters=asdict(config))
    assert set(result.tests) == {"random_items_and_stalls", "one_event_a_cycle", "reset_in_flight"}
