from dataclasses import asdict, replace

import pytest

from hw.config import HARDWARE
from hw.memory.reader import BurstReader
from sim.runner import run_bench

SMALL = HARDWARE["small"]
CONFIGS = {
    "32 bits": replace(SMALL, burst_words=16, outstanding=2),
    "64 bits, short bursts": replace(SMALL, bus_bytes=8, burst_words=3, outstanding=5),
    "256 bits, one burst": replace(SMALL, lanes=32, bus_bytes=32, burst_words=64, outstanding=1),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_words_are_those_of_the_memory(config):
    result = run_bench(BurstReader(config=config), "sim.benches.memory.reader", parameters=asdict(config))
    assert set(result.tests) == {
        "random_regions_and_pauses",
        "bursts_keep_the_rules",
        "throughput_and_latency",
        "refusals_are_reported",
        "reset_in_a_burst",
    }
