"""From a layer descriptor to the runs of input beats that each output position reads."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import address_shape, reached, rows_shape, segment_layout
from hw.config import HardwareConfig
from hw.engine.loops import LoopNest, connect_loops, every_level
from hw.program import DESCRIPTOR, DESCRIPTOR_LAYOUT


class Walker(wiring.Component):
    """Visits the positions of an EVENT layer, pass after pass, once for every group of output channels.

    A map is stored row by row, so the inputs of a 3x3 window are three runs of consecutive beats, one a row, and those
    of a 1x1 window are one. Rows and columns outside the map are left out: padding costs nothing.

    Members
    -------
    layer : In, the descriptor; stable from ``start`` until the last segment has been taken
    start : In(1), begin the layer
    rows_ready : In(rows), weight rows that have arrived (`hw.beats.rows_shape`); a segment waits until all of its own
        are there
    hold : In(1), do not begin another position of the first group
    begun : Out(1), a position and pass of the first group begins; ``hold`` is looked at again four cycles later
    waiting : Out(1), a segment waits for its rows in this cycle
    segments : Out(stream of `hw.beats.segment_layout`)

    Latency: seven cycles from ``start`` to the first segment, one more where its window has no row above.
    Throughput: one segment in two cycles, a position in four cycles, or those of its segments if they are more.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "layer": In(DESCRIPTOR_LAYOUT),
                "start": In(1),
                "rows_ready": In(rows_shape(config)),
                "hold": In(1),
                "begun": Out(1),
                "waiting": Out(1),
                "segments": Out(stream.Signature(segment_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.loops = loops = LoopNest(address=address_shape(self.config))
        layer = self.layer
        connect_loops(m, loops, layer, "input")
        # The address of the loops is the upper left corner of the window.
        corner, base = Signal.like(loops.base), Signal.like(loops.base)
        starting = Signal(2)
        m.d.sync += [
            corner.eq(layer.row_beats + layer.pixel_beats),
            base.eq(layer.input_base - Mux(layer.kernel3, corner, 0)),
            starting.eq(starting << 1 | self.start),
        ]
        m.d.comb += [loops.base.eq(base), loops.restart.eq(starting[1])]

        active, first_group = Signal(), Signal()
        group = Signal(DESCRIPTOR["last_group"])
        weight_base = Signal.like(self.rows_ready)
        busy, begin, tail = Signal(), Signal(), Signal()  # busy: rows of a window are left
        # The loops step a cycle after a position has begun: they are many.
        m.d.sync += [tail.eq(group == layer.last_group), loops.step.eq(begin)]
        m.d.comb += [
            begin.eq(active & ~busy & loops.ready & ~loops.step & ~(self.hold & first_group)),
            self.begun.eq(begin & first_group),
        ]
        with m.If(begin & loops.done):
            m.d.sync += [group.eq(group + 1), weight_base.eq(weight_base + layer.weight_rows), first_group.eq(0)]
            with m.If(tail):
                m.d.sync += active.eq(0)
        with m.If(loops.restart):
            m.d.sync += [active.eq(1), first_group.eq(1), group.eq(0), weight_base.eq(layer.weight_base)]
        self._segments(m, loops, begin, busy, weight_base, tail)
        return m

    def _segments(self, m, loops, begin, busy, weight_base, tail):
        """Go down the rows of the window that begins; it is ``busy`` as long as there are more."""
        layer = self.layer
        top, bottom, left, right = (
            layer.kernel3 & every_level(flags, (f"tile_{axis}", f"sub_{axis}"))
            for axis in ("row", "col")
            for flags in (loops.at_first, loops.at_last)
        )
        beats = self.config.beat_channels.bit_length() - 1
        row_rows, sizes = Signal.like(weight_base), [layer.pixel_beats]
        for count in (2, 3):
            sizes.append(Signal(16, name=f"beats_of_{count}"))
            m.d.sync += sizes[-1].eq(sizes[-2] + layer.pixel_beats)
        m.d.sync += row_rows.eq(sizes[2] << beats)

        # As it is sent, but for the row, which says how many have to be there.
        fields = segment_layout(self.config).members
        segment = Signal(data.StructLayout(fields | {"row": weight_base.shape()}))
        skip, taken, onward = Signal(), Signal(), Signal()
        below, last = Signal(2), segment.last  # rows of the window below this one
        m.d.comb += onward.eq(busy & (skip | (taken & ~last)))
        with m.If(taken & last):
            m.d.sync += busy.eq(0)
        others = Mux(layer.kernel3, Mux(bottom, 1, 2), 0)
        with m.If(begin | onward):
            column = Mux(left, layer.pixel_beats, 0)
            m.d.sync += [
                segment.address.eq(Mux(begin, loops.address, segment.address) + Mux(begin, column, layer.row_beats)),
                segment.row.eq(Mux(begin, weight_base, segment.row) + Mux(begin, column << beats, row_rows)),
                below.eq(Mux(begin, others, below - 1)),
                last.eq(Mux(begin, others == 0, below == 1)),
                skip.eq(begin & top),
            ]
        with m.If(begin):
            m.d.sync += [
                busy.eq(1),
                segment.beats.eq(
                    Mux(layer.kernel3, Mux(left & right, sizes[0], Mux(left | right, *sizes[1:])), sizes[0])
                ),
                segment.tail.eq(tail),
                segment.close.eq(every_level(loops.at_last, ("sub_row", "sub_col", "chunk"))),
            ]
        self._gate(m, segment, busy & ~skip, taken)

    def _gate(self, m, segment, valid, taken):
        """Offer a segment as soon as its rows are there; take the next one when it is gone, so that no path leads from
        the fetcher through here."""
        offered, arrived = Signal(), Signal()
        needed = Signal.like(self.rows_ready)
        m.d.comb += [
            arrived.eq(reached(self.rows_ready, needed)),
            self.segments.valid.eq(offered & arrived),
            self.waiting.eq(offered & ~arrived),
            taken.eq(valid & ~offered),
        ]
        with m.If(self.segments.valid & self.segments.ready):
            m.d.sync += offered.eq(0)
        with m.If(taken):
            m.d.sync += [
                offered.eq(1),
                *(self.segments.payload[name].eq(segment[name]) for name, _ in segment.shape()),
                needed.eq(segment.row + (segment.beats << (self.config.beat_channels.bit_length() - 1))),
            ]
