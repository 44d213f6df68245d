"""Small components for the tests of the simulation."""

from amaranth import Const, Module, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out


class Fifo(wiring.Component):
    """A two-deep FIFO; ``fault`` makes it drop ``valid`` every eighth cycle, or drop items with payload 255.

    Members: i, o : the streams; level : items inside.
    """

    def __init__(self, *, fault: str | None = None):
        self.fault = fault
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8)), "level": Out(2)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = inner = fifo.SyncFIFO(width=8, depth=2)
        count = Signal(3)
        m.d.sync += count.eq(count + 1)
        hidden = (count == 0) if self.fault == "drops valid" else Const(0)
        lost = (self.i.payload == 255) if self.fault == "drops items" else Const(0)
        m.d.comb += [
            inner.w_data.eq(self.i.payload),
            inner.w_en.eq(self.i.valid & ~lost),
            self.i.ready.eq(inner.w_rdy),
            self.o.payload.eq(inner.r_data),
            self.o.valid.eq(inner.r_rdy & ~hidden),
            inner.r_en.eq(self.o.ready & ~hidden),
            self.level.eq(inner.level),
        ]
        return m
