from dataclasses import asdict, replace

from hw.config import HARDWARE
from hw.memory.spike_memory import SpikeMemory
from sim.runner import run_bench

CONFIG = replace(HARDWARE["small"], spike_depth=48)


def test_contents_are_those_of_a_list():
    result = run_bench(SpikeMemory(config=CONFIG), "sim.benches.memory.spike_memory", parameters=asdict(CONFIG))
    assert set(result.tests) == {"random_accesses", "contents_survive_a_reset"}
