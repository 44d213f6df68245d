from dataclasses import asdict, replace

import pytest

from hw.config import HARDWARE
from hw.memory.spike_memory import SpikeMemory
from sim.runner import run_bench


# One memory; 32 words and 8; 64 and 8, of which two are not there; 96, 8 and 4.
@pytest.mark.parametrize(("depth", "block"), [(32, 32), (40, 16), (70, 32), (108, 32)])
def test_contents_are_those_of_a_list(depth, block):
    config = replace(HARDWARE["small"], spike_depth=depth)
    memory = SpikeMemory(config=config, block=block)
    result = run_bench(memory, "sim.benches.memory.spike_memory", parameters=asdict(config))
    assert set(result.tests) == {"random_accesses", "contents_survive_a_reset"}
