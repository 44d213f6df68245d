"""A stream of two places, so that no ready path leads through a unit."""

from amaranth import Module, Mux, Signal
from amaranth.hdl import ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class SkidBuffer(wiring.Component):
    """A register for a stream, and a second one for what arrives while the first is stalled: all outputs are those of
    flip-flops.

    Parameters
    ----------
    shape : the payload

    Members
    -------
    i : In(stream of shape)
    o : Out(stream of shape)

    **Latency**: one cycle. **Throughput**: one payload a cycle.
    """

    def __init__(self, *, shape: ShapeLike):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        spare, full = Signal(self.i.payload.shape(), reset_less=True), Signal()
        moving = Signal()
        m.d.comb += [self.i.ready.eq(~full), moving.eq(~self.o.valid | self.o.ready)]
        with m.If(~full):
            m.d.sync += spare.eq(self.i.payload)
        with m.If(moving):
            m.d.sync += [
                self.o.valid.eq(full | self.i.valid),
                self.o.payload.eq(Mux(full, spare, self.i.payload)),
                full.eq(0),
            ]
        with m.Else():
            m.d.sync += full.eq(full | self.i.valid)
        return m
