"""The external memory in cocotb."""

import pytest

from sim.runner import run_bench
from tests.sim.components import BurstReader

BENCH = "tests.sim.axi_memory_bench"


@pytest.mark.parametrize("latency", [0, 1, 25])
@pytest.mark.parametrize("length", [1, 8])
def test_latency(latency, length):
    values = {"latency": latency, "length": length, "bandwidth": 1.0, "stall": 0.0}
    result = run_bench(BurstReader(length=length), BENCH, parameters=values)
    assert "words_come_after_the_latency_and_without_gaps PASS" in " ".join(result.log.split())


@pytest.mark.parametrize(("bandwidth", "stall"), [(0.3, 0.0), (1.0, 0.5), (0.5, 0.9)])
def test_bandwidth(bandwidth, stall):
    values = {"latency": 3, "length": 8, "bandwidth": bandwidth, "stall": stall}
    result = run_bench(BurstReader(length=8), BENCH, parameters=values)
    assert "bandwidth_and_stalls_are_kept PASS" in " ".join(result.log.split())
