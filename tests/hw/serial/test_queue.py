import pytest

from hw.serial.queue import BlockQueue
from sim.runner import run_bench


def test_entries_leave_as_they_came():
    size = {"width": 5, "depth": 16}
    result = run_bench(BlockQueue(shape=5, depth=16), "sim.benches.serial.queue", parameters=size)
    assert set(result.tests) == {"random_traffic", "one_entry_a_cycle", "reset_in_flight"}


@pytest.mark.parametrize("depth", [4, 12, "16"])
def test_depths_that_make_no_sense(depth):
    with pytest.raises(TypeError, match="depth must be a power of two of at least 8, not"):
        BlockQueue(shape=5, depth=depth)
