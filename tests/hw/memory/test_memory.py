"""The memory: bench, and what the constructor refuses."""

import pytest

from hw.memory.memory import SyncMemory
from sim.runner import run_bench


def test_reads_give_what_was_written():
    sizes = {"width": 37, "depth": 13}
    result = run_bench(SyncMemory(**sizes), "sim.benches.memory.memory", parameters=sizes)
    assert set(result.tests) == {"random_reads_and_writes", "entries_survive_a_reset"}


@pytest.mark.parametrize("width", [0, -1, 2.0, "4", True])
def test_wrong_width(width):
    with pytest.raises(TypeError, match=f"width must be a positive integer, not {width!r}"):
        SyncMemory(width=width, depth=4)


@pytest.mark.parametrize("depth", [1, 0, -1, 2.0, "4", True])
def test_wrong_depth(depth):
    with pytest.raises(TypeError, match=f"depth must be an integer of at least 2, not {depth!r}"):
        SyncMemory(width=4, depth=depth)
