from dataclasses import asdict, replace

import pytest

from hw.config import HARDWARE
from hw.memory.spike_memory import SpikeMemory
from sim.runner import run_bench


@pytest.mark.parametrize("depth", [32, 48, 49])
def test_contents_are_those_of_a_list(depth):
    config = replace(HARDWARE["small"], spike_depth=depth)
    result = run_bench(SpikeMemory(config=config), "sim.benches.memory.spike_memory", parameters=asdict(config))
    assert set(result.tests) == {"random_accesses", "contents_survive_a_reset"}
