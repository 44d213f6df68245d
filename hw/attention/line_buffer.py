"""The line buffer: beats of a grid in raster order become its 3x3 windows."""

from amaranth import Module, Mux, Signal
from amaranth.hdl import ShapeLike
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.memory.memory import block_memory, read_block
from hw.neurons.pipeline import hold

GRID = 12
"""Width of the sides of a grid."""

EDGES = ("north", "south", "west", "east")

NEIGHBOURS = data.StructLayout(dict.fromkeys(EDGES, 1))
"""Whether a position has neighbours inside the grid."""


class Raster(wiring.Component):
    """Walks over a grid in raster order for a line buffer, and on until all its windows are complete.

    The window that a position completes has its centre one row and one column before it, so that the walk ends one row
    and one position behind the grid.

    Members
    -------
    width, height : In(GRID), the grid, at least 1x1; held from ``start`` on
    start : In(1), go to the first position; wins over ``step``
    step : In(1), go to the next position
    inside : Out(1), this position is in the grid
    wrap : Out(1), this position is in the last column
    centre : Out(1), the centre of the window is in the grid
    neighbours : Out(NEIGHBOURS), of the centre, where there is one
    last : Out(1), the centre is the last position of the grid
    """

    def __init__(self):
        super().__init__(
            {
                "width": In(GRID),
                "height": In(GRID),
                "start": In(1),
                "step": In(1),
                "inside": Out(1),
                "wrap": Out(1),
                "centre": Out(1),
                "neighbours": Out(NEIGHBOURS),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        row, col = Signal(GRID + 1), Signal(GRID)
        bottom = Signal()  # this is the last row
        near = self.neighbours
        next_row, next_col = row + self.wrap, Mux(self.wrap, 0, col + 1)
        m.d.comb += self.last.eq(self.centre & ~near.south & ~near.east)
        with m.If(self.start):
            m.d.sync += [row.eq(0), col.eq(0), self.inside.eq(1), self.centre.eq(0)]
            m.d.sync += [self.wrap.eq(self.width == 1), bottom.eq(self.height == 1)]
        with m.Elif(self.step):
            # The next centre is one row above the position that is left.
            m.d.sync += [
                col.eq(next_col),
                row.eq(next_row),
                self.wrap.eq(next_col + 1 == self.width),
                bottom.eq(next_row + 1 == self.height),
                self.inside.eq(self.inside & ~(self.wrap & bottom)),
                self.centre.eq(row != 0),
                near.north.eq(row != 1),
                near.south.eq(row != self.height),
                near.west.eq(col != 0),
                near.east.eq(~self.wrap),
            ]
        return m


class LineBuffer(wiring.Component):
    """Makes 3x3 windows of a grid whose positions have several beats, or cells; a window has one cell of 9 positions.

    Beats come position by position in raster order. With a beat comes the window that it is the south-east corner of.
    Where the window reaches over an edge of the grid, its beats are those of other positions.

    Parameters
    ----------
    shape : a beat
    max_cells : most beats of a position
    max_width : widest grid

    Members
    -------
    enables : In(2), one bit a stage: a beat enters, and its window leaves; nothing moves without them
    beat : In(shape), with the first enable
    cell : In(range(max_cells)), which beat of its position it is
    place : In(range(max_width * max_cells)), which beat of its row it is
    window : Out([9] shape), in raster order, held until a stage is enabled again

    A beat enters at least two cycles after the one with its ``cell`` of the position before, and after that one's
    window has left.

    **Latency**: 2 cycles, if both are enabled. **Throughput**: one beat a cycle.

    Raises TypeError for a size that is not a positive integer.
    """

    def __init__(self, *, shape: ShapeLike, max_cells: int, max_width: int):
        for name, value in {"max_cells": max_cells, "max_width": max_width}.items():
            if type(value) is not int or value < 1:
                raise TypeError(f"{name} must be a positive integer, not {value!r}")
        self._shape = shape
        super().__init__(
            {
                "enables": In(2),
                "beat": In(shape),
                "cell": In(range(max_cells)),
                "place": In(range(max_width * max_cells)),
                "window": Out(data.ArrayLayout(shape, 9)),
            }
        )
        self._sizes = {"rows": (2, max_width * max_cells), "columns": (6, max_cells)}

    def elaborate(self, platform):
        m = Module()
        south = hold(m, self.beat, self.enables[:1])
        rows, write_rows = self._ring(m, "rows", self.place)
        columns, write_columns = self._ring(m, "columns", self.cell)
        # What arrived one row ago and two rows ago moves up, what arrived one position ago and two moves west.
        middle, north = rows
        east = (north, middle, south)
        m.d.comb += [write_rows[0].eq(south), write_rows[1].eq(middle)]
        for row, beat in enumerate(east):
            centre, west = columns[row], columns[3 + row]
            m.d.comb += [write_columns[row].eq(beat), write_columns[3 + row].eq(centre)]
            for col, value in enumerate((west, centre, beat)):
                m.d.comb += self.window[3 * row + col].eq(hold(m, value, self.enables[1:]))
        return m

    def _ring(self, m, name, address):
        """A memory that is read with the first enable and written with the second, at the same address: what it
        delivers, and what it takes."""
        count, depth = self._sizes[name]
        m.submodules[name] = ring = block_memory(shape=data.ArrayLayout(self._shape, count), depth=depth)
        write = ring.write_port()
        m.d.comb += [write.addr.eq(hold(m, address, self.enables[:1])), write.en.eq(self.enables[1])]
        return read_block(m, ring, address=address, enable=self.enables[0]), write.data
