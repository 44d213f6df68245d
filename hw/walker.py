"""From a layer descriptor to the runs of input beats that each output position reads."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import segment_layout
from hw.config import HardwareConfig
from hw.loops import LoopNest, connect_loops, level_bit
from hw.program import ADDRESS, DESCRIPTOR, DESCRIPTOR_LAYOUT


class Walker(wiring.Component):
    """Visits the positions of an EVENT layer, once for every group of output channels.

    A map is stored row by row, so the inputs of a 3x3 window are three runs of consecutive beats, one a row, and those
    of a 1x1 window are one. Rows and columns outside the map are left out: padding costs nothing.

    Members
    -------
    layer : In, the descriptor; stable from ``start`` until the last segment has been taken
    start : In(1), begin the layer
    segments : Out(stream of `hw.beats.segment_layout`)

    Latency: two cycles from ``start`` to the first segment. Throughput: one segment a cycle.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "layer": In(DESCRIPTOR_LAYOUT),
                "start": In(1),
                "segments": Out(stream.Signature(segment_layout())),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.loops = loops = LoopNest()
        layer = self.layer
        connect_loops(m, loops, layer, "input")
        m.d.comb += [loops.base.eq(layer.input_base), loops.restart.eq(self.start)]

        active = Signal()
        group = Signal(DESCRIPTOR["last_group"])
        weight_base = Signal(ADDRESS)
        row = Signal(2)
        advance = Signal()
        last_segment = Signal()
        m.d.comb += advance.eq(active & (~self.segments.valid | self.segments.ready))
        m.d.comb += loops.step.eq(advance & last_segment)
        with m.If(self.segments.ready):
            m.d.sync += self.segments.valid.eq(0)
        with m.If(advance):
            m.d.sync += self.segments.valid.eq(1)
            m.d.sync += row.eq(Mux(last_segment, 0, self._segment(m, loops, row, last_segment, weight_base, group) + 1))
        with m.If(loops.step & loops.done):
            m.d.sync += [group.eq(group + 1), weight_base.eq(weight_base + layer.weight_rows)]
            with m.If(group == layer.last_group):
                m.d.sync += active.eq(0)
        with m.If(self.start):
            m.d.sync += [active.eq(1), group.eq(0), row.eq(0), weight_base.eq(layer.weight_base)]
        return m

    def _segment(self, m, loops, row, last_segment, weight_base, group):
        """Register the segment of one row of the window; return the row, after skipping one above the map."""
        layer = self.layer
        edges = {
            edge: level_bit(flags, f"tile_{axis}") & level_bit(flags, f"sub_{axis}")
            for edge, flags, axis in (
                ("top", loops.at_first, "row"),
                ("bottom", loops.at_last, "row"),
                ("left", loops.at_first, "col"),
                ("right", loops.at_last, "col"),
            )
        }
        left, right = edges["left"] | ~layer.kernel3, edges["right"] | ~layer.kernel3
        window_row = Signal(2)
        m.d.comb += window_row.eq(Mux(layer.kernel3 & (row == 0) & edges["top"], 1, row))
        m.d.comb += last_segment.eq(~layer.kernel3 | (window_row == Mux(edges["bottom"], 1, 2)))
        pixel_rows = layer.pixel_beats << (self.config.beat_channels.bit_length() - 1)
        window_rows = (pixel_rows << 1) + pixel_rows
        row_start = Mux(
            layer.kernel3 & (window_row == 0),
            loops.address - layer.row_beats,
            Mux(window_row == 2, loops.address + layer.row_beats, loops.address),
        )
        skipped = Mux(window_row == 0, 0, Mux(window_row == 1, window_rows, window_rows << 1))
        column = Mux(layer.kernel3 & edges["left"], pixel_rows, 0)
        payload = self.segments.payload
        m.d.sync += [
            payload.address.eq(row_start - Mux(left, 0, layer.pixel_beats)),
            payload.beats.eq(layer.pixel_beats + Mux(left, 0, layer.pixel_beats) + Mux(right, 0, layer.pixel_beats)),
            payload.row.eq(weight_base + skipped + column),
            payload.last.eq(last_segment),
            payload.tail.eq(group == layer.last_group),
        ]
        return window_row
