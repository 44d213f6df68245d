"""The head's pooling."""

from dataclasses import asdict

from hw.config import HARDWARE
from hw.stream_pool import StreamPool
from sim.runner import run_bench


def test_sums_and_cycles():
    config = HARDWARE["small"]
    result = run_bench(StreamPool(config=config), "sim.benches.stream_pool", parameters=asdict(config))
    assert set(result.tests) == {"sums_of_random_streams", "largest_sums", "reset_in_flight"}
