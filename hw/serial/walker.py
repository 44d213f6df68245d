"""The walk over the positions of a layer, and over the words of each position's window."""

from enum import IntEnum

from amaranth import Module, Mux, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.serial.config import (
    SerialConfig,
    address_shape,
    group_shape,
    place_layout,
    row_shape,
    spike_address,
    word_shape,
)
from hw.serial.program import EXTRA_BITS, Mode, descriptor_layout


class Item(IntEnum):
    """What the walker asks for."""

    WORD = 0  # a word of the input
    MASKED = 1  # a word of the input, only where the mask has spikes too
    MASK = 2  # the word of the mask
    CLOSE = 3  # the position and timestep ends; no word


class Phase(enum.Enum, shape=2):
    """What of a position is asked for."""

    MASK = 0
    TAPS = 1
    EXTRA = 2
    CLOSE = 3


def item_layout(config: SerialConfig) -> data.StructLayout:
    """An item: a word's address in spike memory and its first row of weights; ``place`` is that of a CLOSE."""
    return data.StructLayout(
        {"item": 2, "address": address_shape(config), "row": row_shape(config), "place": place_layout(config)}
    )


class Walker(wiring.Component):
    """Goes over the positions of a layer, tile by tile, over the timesteps of each, and over the words of its window.

    A window's words come tap by tap in raster order; taps outside the map are passed over, their rows of weights too.
    Where DENSE, a word has one row for each of its channels; where DEPTHWISE one row, and the words are those of the
    group's own channels. LOAD and POOL have no words.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    layer : In, the descriptor; constant while busy
    group : In, the group of output channels; constant while busy
    start : In(1), begin; ignored while busy
    busy : Out(1), from the cycle after ``start`` to the one in which the last item is taken
    o : Out(stream of `item_layout`)

    **Latency**: the first item comes in the cycle after ``start``. **Throughput**: one item a cycle, less those for the
    taps outside.
    """

    def __init__(self, *, config: SerialConfig):
        self.config = config
        super().__init__(
            {
                "layer": In(descriptor_layout(config)),
                "group": In(group_shape()),
                "start": In(1),
                "busy": Out(1),
                "o": Out(stream.Signature(item_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        layer = self.layer
        place, phase = Signal(place_layout(self.config)), Signal(Phase)
        depthwise = layer.mode == Mode.DEPTHWISE
        begin, taps = Signal(Phase), Signal(Phase)
        m.d.comb += [
            taps.eq(Mux(depthwise & ~layer.kernel3, Phase.EXTRA, Phase.TAPS)),
            begin.eq(Mux(layer.masked, Phase.MASK, taps)),
        ]
        with m.If((layer.mode == Mode.LOAD) | (layer.mode == Mode.POOL)):
            m.d.comb += begin.eq(Phase.CLOSE)
        moves = Signal()
        m.d.comb += moves.eq(self.busy & (self.o.ready | ~self.o.valid))
        last = self._window(m, place, phase, depthwise, moves)
        with m.If(moves):
            with m.Switch(phase):
                with m.Case(Phase.MASK):
                    m.d.sync += phase.eq(taps)
                with m.Case(Phase.TAPS):
                    with m.If(last):
                        m.d.sync += phase.eq(Mux(depthwise, Phase.EXTRA, Phase.CLOSE))
                with m.Case(Phase.EXTRA):
                    with m.If(last):
                        m.d.sync += phase.eq(Phase.CLOSE)
                with m.Case(Phase.CLOSE):
                    m.d.sync += phase.eq(begin)
        self._positions(m, place, moves & (phase == Phase.CLOSE))
        with m.If(self.start & ~self.busy):
            m.d.sync += [self.busy.eq(1), phase.eq(begin)]
        return m

    def _window(self, m, place, phase, depthwise, moves):
        """Ask for the words of a window; return whether this is the last one of its phase."""
        config, layer, item = self.config, self.layer, self.o.payload
        down, right = Signal(2, init=1), Signal(2, init=1)  # 1 is the position's own row and column
        word, row = Signal(max(EXTRA_BITS, word_shape(config).width)), Signal(row_shape(config))
        tapping, wide = phase == Phase.TAPS, layer.kernel3 & (phase == Phase.TAPS)
        last_word, last_tap = Signal(), Signal()
        m.d.comb += [
            last_word.eq(Mux(tapping, depthwise | (word == layer.last_word), word + 1 == layer.extra)),
            last_tap.eq(~wide | ((down == 2) & (right == 2))),
        ]
        with m.If(moves & (tapping | (phase == Phase.EXTRA))):
            m.d.sync += [word.eq(word + 1), row.eq(row + Mux(depthwise, 1, config.lanes))]
            with m.If(last_word):
                m.d.sync += word.eq(0)
                with m.If(wide):
                    m.d.sync += right.eq(right + 1)
                    with m.If(right == 2):
                        m.d.sync += [right.eq(0), down.eq(Mux(down == 2, 0, down + 1))]
        with m.If(moves & (phase == Phase.CLOSE)):
            m.d.sync += row.eq(0)
        with m.If(self.start & ~self.busy):
            m.d.sync += [word.eq(0), row.eq(0), down.eq(0), right.eq(0)]
        above, below = (place.row == 0) & (down == 0), (place.row == layer.last) & (down == 2)
        before, behind = (place.column == 0) & (right == 0), (place.column == layer.last) & (right == 2)
        at_mask = phase == Phase.MASK
        corner = at_mask & layer.corner
        m.d.comb += [
            self.o.valid.eq(self.busy & ~(wide & (above | below | before | behind))),
            item.address.eq(
                spike_address(
                    config,
                    slot=Mux(at_mask, layer.mask, layer.input),
                    small=layer.small_input,
                    step=place.step,
                    row=Mux(corner, 0, place.row + Mux(wide, down, 1) - 1),
                    column=Mux(corner, 0, place.column + Mux(wide, right, 1) - 1),
                    word=Mux(depthwise, self.group, word),
                )
            ),
            item.row.eq(row),
            item.place.eq(place),
        ]
        with m.Switch(phase):
            for each, kind in zip(Phase, (Item.MASK, Item.WORD, Item.MASKED, Item.CLOSE), strict=True):
                with m.Case(each):
                    m.d.comb += item.item.eq(kind)
        return last_word & last_tap

    def _positions(self, m, place, ends):
        """Go to the next timestep, or position of the tile, or tile."""
        layer, mask = self.layer, self.layer.tile_mask
        row_ends, column_ends = (place.row & mask) == mask, (place.column & mask) == mask
        m.d.comb += [
            place.first.eq(((place.row & mask) == 0) & ((place.column & mask) == 0)),
            place.last.eq(row_ends & column_ends),
        ]
        row, column, step = Signal.like(place.row), Signal.like(place.column), Signal.like(place.step)
        m.d.comb += [place.row.eq(row), place.column.eq(column), place.step.eq(step)]
        with m.If(ends):
            m.d.sync += step.eq(step + 1)
            with m.If(step == layer.last_step):
                m.d.sync += step.eq(0)
                with m.If(~column_ends):
                    m.d.sync += column.eq(column + 1)
                with m.Elif(~row_ends):
                    m.d.sync += [column.eq(column & ~mask), row.eq(row + 1)]
                with m.Elif(column != layer.last):
                    m.d.sync += [column.eq(column + 1), row.eq(row & ~mask)]
                with m.Else():
                    m.d.sync += [column.eq(0), row.eq(row + 1)]
                    with m.If(row == layer.last):
                        m.d.sync += [row.eq(0), self.busy.eq(0)]
