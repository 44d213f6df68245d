"""From words of spike memory to events."""

from itertools import combinations

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.neurons.one_hot import number_of, slices
from hw.serial.config import SerialConfig, address_shape, channel_shape, place_layout, row_shape
from hw.serial.lanes import event_layout
from hw.serial.queue import BlockQueue
from hw.serial.walker import Item, item_layout

QUEUE = 64
"""Words that are read ahead. Many words have no spikes, some have many: a few would not do to keep both sides busy."""


def word_layout(config: SerialConfig) -> data.StructLayout:
    """A word with spikes and its first row of weights; or, where ``closes``, the place that ends in place of both."""
    return data.StructLayout({"closes": 1, "row": row_shape(config), "word": config.lanes})


class SerialEmitter(wiring.Component):
    """Reads the words that the walker asks for, and sends an event for each of their spikes, or one for a whole word.

    Words are read as far ahead as the queue allows; one without spikes takes a cycle to be read, and no more.

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

    **Latency**: the first event leaves four cycles after its word was taken. **Throughput**: one event a cycle.
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
        m.submodules.queue = queue = BlockQueue(shape=word_layout(config), depth=QUEUE)
        read, taken, mask = Signal(), Signal.like(item), Signal(config.lanes)
        m.d.comb += [
            self.i.ready.eq(queue.room & ~self.blocked),
            self.enable.eq(self.i.valid & self.i.ready),
            self.address.eq(item.address),
        ]
        m.d.sync += [read.eq(self.enable), taken.eq(item)]
        closes, unmasked = taken.item == Item.CLOSE, (taken.item != Item.MASKED).replicate(config.lanes)
        word = self.data & (mask | unmasked)
        place = taken.place.as_value()
        m.d.comb += [
            queue.i.valid.eq(read & (taken.item != Item.MASK) & (word.any() | closes)),
            queue.i.payload.closes.eq(closes),
            Cat(queue.i.payload.word, queue.i.payload.row).eq(Mux(closes, place, Cat(word, taken.row))),
        ]
        with m.If(read & (taken.item == Item.MASK)):
            m.d.sync += mask.eq(self.data)
        here, valid = Signal(word_layout(config)), Signal()
        finished = self._emit(m, here, valid)
        moves = ~valid | finished
        m.d.comb += [queue.o.ready.eq(moves), self.busy.eq(read | queue.busy | valid)]
        with m.If(moves):
            m.d.sync += [here.eq(queue.o.payload), valid.eq(queue.o.valid)]
        return m

    def _emit(self, m, here, valid):
        """Send the lowest spike of the word that is here, or all of it, or close the position; return whether that was
        the last of it."""
        config, event, finished = self.config, self.event.payload, Signal()
        rest = (here.word & (here.word - 1))[: config.lanes]
        lowest = (here.word & ~rest)[: config.lanes]
        m.d.comb += [
            self.event.valid.eq(valid & ~here.closes),
            event.row.eq(here.row),
            event.lanes.eq(-1),
            self.close.valid.eq(valid & here.closes),
            self.close.payload.eq(Cat(here.word, here.row)),
            finished.eq(Mux(here.closes, self.close.ready, self.whole | ~several(here.word))),
        ]
        with m.If(self.whole):
            m.d.comb += event.lanes.eq(here.word)
        with m.Else():
            bits = channel_shape(config).width
            m.d.comb += event.row.eq(Cat(number_of(lowest), here.row[bits:]))
        with m.If(~here.closes):
            m.d.sync += here.word.eq(rest)
        return finished


def several(bits: Value) -> Value:
    """Whether more than one bit is set, without a carry chain."""
    quads = slices(bits, 4)
    return Cat(_several(quad) for quad in quads).any() | _several(Cat(quad.any() for quad in quads))


def _several(bits: Value) -> Value:
    return Cat(a & b for a, b in combinations(bits, 2)).any()
