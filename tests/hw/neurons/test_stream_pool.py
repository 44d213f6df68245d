"""The head's pooling."""

from dataclasses import asdict, replace

import pytest

from hw.config import HARDWARE
from hw.neurons.stream_pool import StreamPool
from sim.runner import run_bench


@pytest.mark.parametrize("passes", [1, 3])
def test_sums_and_cycles(passes):
    config = replace(HARDWARE["small"], passes=passes)
    result = run_bench(StreamPool(config=config), "sim.benches.neurons.stream_pool", parameters=asdict(config))
    assert set(result.tests) == {"sums_of_random_streams", "largest_sums", "reset_in_flight"}
