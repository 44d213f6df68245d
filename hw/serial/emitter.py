"""From words of spike memory to events."""

from itertools import combinations

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.neurons.one_hot import number_of, slices
from hw.serial.config import SerialConfig, address_shape, channel_shape, place_layout, row_shape
from hw.serial.lanes import event_layout
from hw.serial.walker import Item, item_layout


class SerialEmitter(wiring.Component):
    """Reads the words that the walker asks for, and sends an event for each of their spikes, or one for a whole word.

    While one word is sent the next one is read; a word without spikes takes the cycle in which it is read, and no more.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    whole : In(1), an event is a whole word: its lanes are the word's spikes. Else it is a spike, for all lanes, with
        the word's row of weights plus the number of its channel
    i : In(stream of `item_layout`)
    enable : Out(1), address : Out, read spike memory ...
    data : In(lanes), ... and have the word one cycle later
    blocked : In(1), spike memory is written in this cycle: nothing is taken
    event : Out(stream of `event_layout`, always ready)
    close : Out(stream of `place_layout`), a position and timestep ends behind the events that came before
    busy : Out(1), something is on its way

    **Latency**: the first event leaves two cycles after its word was taken. **Throughput**: one event a cycle.
    """

    def __init__(self, *, config: SerialConfig):
        self.config = config
        super().__init__(
            {
                "whole": In(1),
                "i": In(stream.Signature(item_layout(config))),
                "enable": Out(1),
                "address": Out(address_shape(config)),
                "data": In(config.lanes),
                "blocked": In(1),
                "event": Out(stream.Signature(event_layout(config), always_ready=True)),
                "close": Out(stream.Signature(place_layout(config))),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, item = self.config, self.i.payload
        read, here = _Slot(config, "read"), _Slot(config, "here")
        ahead, mask = _Slot(config, "ahead"), Signal(config.lanes)
        finished, place, closing = Signal(), Signal(place_layout(config)), Signal()
        moves = ~here.valid | finished
        # One word at most is on its way while another one waits. Whether a position can end now comes from afar, and is
        # not waited for.
        leaves = ~here.valid | (finished & (here.item != Item.CLOSE))
        room = Mux(leaves, ~(ahead.valid & read.valid), ~(ahead.valid | read.valid))
        ends = item.item == Item.CLOSE
        m.d.comb += [
            self.i.ready.eq(room & ~self.blocked & ~(ends & closing)),
            self.enable.eq(self.i.valid & self.i.ready),
            self.address.eq(item.address),
            self.close.payload.eq(place),
            self.busy.eq(read.valid | ahead.valid | here.valid),
        ]
        m.d.sync += [read.valid.eq(self.enable), read.item.eq(item.item), read.row.eq(item.row)]
        with m.If(self.enable & ends):
            m.d.sync += [place.eq(item.place), closing.eq(1)]
        with m.If(self.close.valid & self.close.ready):
            m.d.sync += closing.eq(0)
        arrived = _Slot(config, "arrived")
        word = self.data & Mux(read.item == Item.MASKED, mask, -1)
        m.d.comb += [arrived.item.eq(read.item), arrived.row.eq(read.row), arrived.word.eq(word)]
        m.d.comb += arrived.valid.eq(read.valid & (read.item != Item.MASK) & (word.any() | (read.item == Item.CLOSE)))
        with m.If(read.valid & (read.item == Item.MASK)):
            m.d.sync += mask.eq(self.data)
        with m.If(moves):
            m.d.sync += here.follow(ahead, arrived)
        with m.If(arrived.valid & (ahead.valid | ~moves)):
            m.d.sync += ahead.take(arrived)
        with m.Elif(moves):
            m.d.sync += ahead.valid.eq(0)
        self._emit(m, here, finished)
        return m

    def _emit(self, m, here, finished):
        """Send the lowest spike of the word that is here, or all of it, or close the position."""
        config, event = self.config, self.event.payload
        rest, closes = (here.word & (here.word - 1))[: config.lanes], here.item == Item.CLOSE
        lowest = (here.word & ~rest)[: config.lanes]
        m.d.comb += [
            self.event.valid.eq(here.valid & ~closes),
            event.row.eq(here.row),
            event.lanes.eq(-1),
            self.close.valid.eq(here.valid & closes),
            finished.eq(Mux(closes, self.close.ready, self.whole | ~several(here.word))),
        ]
        with m.If(self.whole):
            m.d.comb += event.lanes.eq(here.word)
        with m.Else():
            bits = channel_shape(config).width
            m.d.comb += event.row.eq(Cat(number_of(lowest), here.row[bits:]))
        with m.If(here.valid & ~finished & ~closes):
            m.d.sync += here.word.eq(rest)


def several(bits: Value) -> Value:
    """Whether more than one bit is set, without a carry chain."""
    quads = slices(bits, 4)
    return Cat(_several(quad) for quad in quads).any() | _several(Cat(quad.any() for quad in quads))


def _several(bits: Value) -> Value:
    return Cat(a & b for a, b in combinations(bits, 2)).any()


class _Slot:
    """A word on its way, or the end of a position."""

    def __init__(self, config: SerialConfig, name: str):
        self.valid = Signal(name=f"{name}_valid")
        self.item = Signal(2, name=f"{name}_item")
        self.row = Signal(row_shape(config), name=f"{name}_row")
        self.word = Signal(config.lanes, name=f"{name}_word")

    def take(self, other: "_Slot") -> list:
        """Assignments that make it the same as another."""
        return [self.valid.eq(other.valid), *self._content(other.item, other.row, other.word)]

    def follow(self, first: "_Slot", second: "_Slot") -> list:
        """Assignments that make it the first of two that is there."""
        chosen = [Mux(first.valid, getattr(first, field), getattr(second, field)) for field in ("item", "row", "word")]
        return [self.valid.eq(first.valid | second.valid), *self._content(*chosen)]

    def _content(self, item, row, word) -> list:
        return [self.item.eq(item), self.row.eq(row), self.word.eq(word)]
