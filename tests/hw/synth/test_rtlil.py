"""Memories as RTLIL: written quicker than Amaranth does it, and the same."""

import pytest
from amaranth.back import rtlil

from hw.soc.ram import BusMemory
from hw.synth.rtlil import to_rtlil
from tests.hw.synth.samples import Pair, Store


@pytest.mark.parametrize(
    "make",
    [lambda: Store(depth=64), lambda: BusMemory(depth=64, init=[0, 0xDEADBEEF]), Pair],
    ids=["a memory of zeros", "a memory with a content", "no memory"],
)
def test_the_text_is_that_of_amaranth(make):
    assert to_rtlil(make()) == rtlil.convert(make(), emit_src=False)
