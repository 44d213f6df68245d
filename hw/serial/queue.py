"""A queue in block RAM."""

from amaranth import Module, Signal
from amaranth.hdl import Shape, ShapeLike
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.memory.memory import block_memory, read_block

MARGIN = 2
"""Places that are free when there is said to be room: what has been asked for meanwhile arrives later."""


class BlockQueue(wiring.Component):
    """First in, first out; who fills it asks for room before what it asks for is on its way.

    Parameters
    ----------
    shape : of an entry
    depth : entries, a power of two of at least 8

    Members
    -------
    i : In(stream, always ready), not more than one entry for each cycle with ``room``, at most one cycle later
    room : Out(1)
    o : Out(stream)
    busy : Out(1), something is in it

    **Latency**: two cycles. **Throughput**: one entry a cycle.
    """

    def __init__(self, *, shape: ShapeLike, depth: int):
        if type(depth) is not int or depth < 8 or depth & (depth - 1):
            raise TypeError(f"depth must be a power of two of at least 8, not {depth!r}")
        self._shape, self._depth = shape, depth
        super().__init__(
            {
                "i": In(stream.Signature(shape, always_ready=True)),
                "room": Out(1, init=1),
                "o": Out(stream.Signature(shape)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits = Shape.cast(self._shape).width
        m.submodules.memory = memory = block_memory(shape=bits, depth=self._depth)
        write, first, behind = memory.write_port(), Signal(range(self._depth)), Signal(range(self._depth))
        fetch, waits = Signal(), first != behind
        m.d.comb += [
            write.addr.eq(behind),
            write.data.eq(self.i.payload),
            write.en.eq(self.i.valid),
            fetch.eq(waits & (~self.o.valid | self.o.ready)),
            self.o.payload.eq(read_block(m, memory, address=first, enable=fetch, undefined=True)),
            self.busy.eq(waits | self.o.valid),
        ]
        with m.If(self.i.valid):
            m.d.sync += behind.eq(behind + 1)
        with m.If(fetch):
            m.d.sync += [first.eq(first + 1), self.o.valid.eq(1)]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        # What is there, counted a cycle late.
        level = Signal(range(self._depth))
        m.d.comb += level.eq(behind - first)
        m.d.sync += self.room.eq(level < self._depth - 1 - 2 * MARGIN)
        return m
