"""The memories of the SoC: bench, and what the constructors refuse."""

import pytest

from hw.config import HARDWARE
from hw.soc.ram import BusMemory, ProgramMemory
from sim.runner import run_bench
from tests.hw.side_by_side import SideBySide

CONFIG = HARDWARE["default"]


def test_words_and_bursts_come_back():
    init = [0x01020304, 0xFFFFFFFF, 0x80000000]
    parts = SideBySide(firmware=BusMemory(depth=64, init=init), program=ProgramMemory(config=CONFIG, size=4096))
    sizes = {"depth": 64, "init": init, "size": 4096, "bus_bytes": CONFIG.bus_bytes}
    result = run_bench(parts, "sim.benches.soc.ram", parameters=sizes)
    assert set(result.tests) == {"words_of_the_core", "bursts", "timing"}


@pytest.mark.parametrize("depth", [0, 1, 3, 8.0, "8"])
def test_wrong_depth(depth):
    with pytest.raises(TypeError, match=f"depth must be a power of two, not {depth!r}"):
        BusMemory(depth=depth)


def test_too_many_words():
    with pytest.raises(TypeError, match="5 words do not fit a memory of 4"):
        BusMemory(depth=4, init=range(5))


@pytest.mark.parametrize("size", [8, 20, 4096.0])
def test_wrong_size(size):
    with pytest.raises(TypeError, match=f"size must be a multiple of 8 and at least twice that, not {size!r}"):
        ProgramMemory(config=CONFIG, size=size)
