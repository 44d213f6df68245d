import re
from dataclasses import replace

import pytest
from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.accelerator import Accelerator
from hw.config import HARDWARE
from sim.verilog import to_verilog

PRODUCT = re.compile(r"\w\s*\*\s*\w")


class Square(wiring.Component):
    """A multiplier, to see that the search finds one."""

    def __init__(self):
        super().__init__({"x": In(8), "y": Out(16)})

    def elaborate(self, platform):
        m = Module()
        product = Signal(16)
        m.d.sync += product.eq(self.x * self.x)
        m.d.comb += self.y.eq(product)
        return m


@pytest.mark.parametrize("config", [HARDWARE["small"], replace(HARDWARE["small"], timesteps=3)], ids=["4", "3"])
def test_has_no_multiplier(config):
    assert not PRODUCT.search(to_verilog(Accelerator(config=config)))


def test_search_finds_a_multiplier():
    assert PRODUCT.search(to_verilog(Square()))


def test_verilog_is_reproducible():
    first, second = (to_verilog(Accelerator(config=HARDWARE["small"])) for _ in range(2))
    assert first == second
