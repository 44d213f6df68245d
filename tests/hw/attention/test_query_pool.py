"""The pooled query counts: bench."""

from dataclasses import asdict, replace

from hw.attention.query_pool import QueryPool
from hw.config import HARDWARE
from sim.runner import run_bench

CONFIG = replace(HARDWARE["small"], timesteps=3, count_bits=5)


def test_counts_are_sums_of_spikes():
    result = run_bench(QueryPool(config=CONFIG), "sim.benches.attention.query_pool", parameters=asdict(CONFIG))
    assert set(result.tests) == {"random_tiles", "others_write", "reset_in_flight"}
