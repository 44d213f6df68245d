"""The line buffer: beats of a grid in raster order become its 3x3 windows, zero padded."""

from amaranth import Module, Mux, Signal
from amaranth.hdl import ShapeLike
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.pipeline import hold

GRID = 12
"""Width of the sides of a grid."""

EDGES = ("north", "south", "west", "east")

NEIGHBOURS = data.StructLayout(dict.fromkeys(EDGES, 1))
"""Whether a position has neighbours inside the grid."""


def window_layout(shape: ShapeLike) -> data.StructLayout:
    """A 3x3 window: its ``beats`` in raster order, 0 outside the grid, and the neighbours of its centre."""
    return data.StructLayout({"beats": data.ArrayLayout(shape, 9), "neighbours": NEIGHBOURS})


class Raster(wiring.Component):
    """A position that walks over a grid in raster order, again and again.

    Members
    -------
    width, height : In(GRID), the grid, at least 1x1
    start : In(1), go to the first position; wins over ``step``
    step : In(1), go to the next position, or from the last one to the first
    neighbours : Out(NEIGHBOURS), of this position
    last : Out(1), this is the last position
    """

    def __init__(self):
        super().__init__(
            {
                "width": In(GRID),
                "height": In(GRID),
                "start": In(1),
                "step": In(1),
                "neighbours": Out(NEIGHBOURS),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        row, col = Signal(GRID), Signal(GRID)
        near = self.neighbours
        m.d.comb += [
            near.north.eq(row != 0),
            near.south.eq(row + 1 != self.height),
            near.west.eq(col != 0),
            near.east.eq(col + 1 != self.width),
            self.last.eq(~near.south & ~near.east),
        ]
        with m.If(self.start):
            m.d.sync += [row.eq(0), col.eq(0)]
        with m.Elif(self.step):
            m.d.sync += col.eq(Mux(near.east, col + 1, 0))
            with m.If(~near.east):
                m.d.sync += row.eq(Mux(near.south, row + 1, 0))
        return m


class LineBuffer(wiring.Component):
    """Makes the window around every position of a grid, in raster order.

    Grids follow each other without a gap: the window around beat ``i`` is made when beat ``i + width + 1`` arrives,
    even if that belongs to the next grid. After the last grid, ``width + 1`` more beats of any value flush the rest.

    Parameters
    ----------
    shape : a beat
    max_width : widest grid

    Members
    -------
    width, height : In(GRID), the grid, from 1x1 on, not wider than ``max_width``; held from ``start`` on
    start : In(1), the next beat is the first of a grid; no beat in this cycle
    i : In(stream(shape)), beats in raster order
    o : Out(stream(window_layout(shape))), the window around every beat

    **Latency**: 1 cycle from beat ``i + width + 1`` to the window around beat ``i``. **Throughput**: one beat a cycle.

    Raises TypeError for a ``max_width`` that is not a positive integer.
    """

    def __init__(self, *, shape: ShapeLike, max_width: int):
        if type(max_width) is not int or max_width < 1:
            raise TypeError(f"max_width must be a positive integer, not {max_width!r}")
        self._shape = shape
        self._max_width = max_width
        super().__init__(
            {
                "width": In(GRID),
                "height": In(GRID),
                "start": In(1),
                "i": In(stream.Signature(shape, always_ready=True)),
                "o": Out(stream.Signature(window_layout(shape), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        column = self._column(m)
        m.submodules.centre = centre = Raster()
        missing = Signal(range(self._max_width + 2))  # beats before the first window
        m.d.sync += self.o.valid.eq(centre.step)
        with m.If(self.start):
            m.d.sync += missing.eq(self.width + 1)
        with m.Elif(self.i.valid & (missing != 0)):
            m.d.sync += missing.eq(missing - 1)
        neighbours = hold(m, centre.neighbours, centre.step)
        m.d.comb += [
            centre.width.eq(self.width),
            centre.height.eq(self.height),
            centre.start.eq(self.start),
            centre.step.eq(self.i.valid & (missing == 0)),
            self.o.p.neighbours.eq(neighbours),
        ]
        # Outside the grid there are beats of other rows, or of another grid.
        for row, (beat, vertical) in enumerate(zip(column, (neighbours.north, 1, neighbours.south), strict=True)):
            east = hold(m, beat, self.i.valid)
            middle = hold(m, east, self.i.valid)
            west = hold(m, middle, self.i.valid)
            for col, (beat, horizontal) in enumerate(((west, neighbours.west), (middle, 1), (east, neighbours.east))):
                m.d.comb += self.o.p.beats[3 * row + col].eq(Mux(vertical & horizontal, beat, 0))
        return m

    def _column(self, m):
        """The beats that arrived two rows ago and one row ago, and the one that arrives."""
        # Both rows share a ring of `width` entries that is read and written in one cycle, so that a width of 1 works.
        rows = data.ArrayLayout(self._shape, 2)
        m.submodules.ring = ring = memory.Memory(shape=rows, depth=self._max_width, init=[])
        read = ring.read_port(domain="comb")
        write = ring.write_port()
        slot = Signal(range(self._max_width))
        with m.If(self.start):
            m.d.sync += slot.eq(0)
        with m.Elif(self.i.valid):
            m.d.sync += slot.eq(Mux(slot + 1 == self.width, 0, slot + 1))
        m.d.comb += [
            read.addr.eq(slot),
            write.addr.eq(slot),
            write.data[0].eq(self.i.p),
            write.data[1].eq(read.data[0]),
            write.en.eq(self.i.valid),
        ]
        return read.data[1], read.data[0], self.i.p
