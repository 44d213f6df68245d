"""From spike words to events, one a cycle."""

from amaranth import Cat, Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.beats import event_layout, word_layout
from hw.config import HardwareConfig
from hw.memory.skid import SkidBuffer
from hw.neurons.one_hot import lowest, number_of, select, slices

PART_CHANNELS = 8
"""Channels among which the next one that fires is found in a cycle."""


def part_layout(config: HardwareConfig) -> data.StructLayout:
    """A part of a word: its patterns, the channel to send now, those after it and whether there are none, and the
    part's number within the word."""
    width = min(PART_CHANNELS, config.word_channels)
    parts = config.word_channels // width
    patterns = data.ArrayLayout(unsigned(config.timesteps), width)
    rest = {name: field.shape for name, field in word_layout(config) if name != "spikes"}
    number = unsigned(max(1, (parts - 1).bit_length()))
    return data.StructLayout(
        {"patterns": patterns, "chosen": width, "others": width, "final": 1, "number": number} | rest
    )


class Emitter(wiring.Component):
    """Sends one event for every channel of a word that fires at any timestep, lowest channel first.

    A word is cut into parts; the parts without spikes are passed over. A word in which nothing fires (it closes an
    all-silent position) gives one event with an empty pattern.

    Members
    -------
    words : In(stream of `hw.beats.word_layout`)
    events : Out(stream of `hw.beats.event_layout`)

    Latency: three cycles from a word to its first event. Throughput: one event a cycle, across words too.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "words": In(stream.Signature(word_layout(config))),
                "events": Out(stream.Signature(event_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.events = events = SkidBuffer(shape=event_layout(self.config))
        connect(m, events.o, flipped(self.events))
        word, part = Signal(word_layout(self.config)), Signal(part_layout(self.config))
        firing = Signal(self.config.word_channels)  # channels of the word
        have_word, have_part = Signal(), Signal()
        move, advance = Signal(), Signal()
        width = len(part.patterns.as_value())
        parts = slices(word.spikes.as_value(), width)
        waiting = Signal(len(parts))
        chosen, later = lowest(waiting)
        event = events.i.payload
        m.d.comb += [
            advance.eq(have_part & events.i.ready),
            move.eq(have_word & (~have_part | (advance & part.final))),
            self.words.ready.eq(~have_word | (move & ~later.any())),
            events.i.valid.eq(have_part),
            event.row.eq(part.row + Cat(number_of(part.chosen), part.number)),
            event.pattern.eq(select(part.chosen, part.patterns)),
            event.last.eq(part.last & part.final),
            event.tail.eq(part.tail),
            event.close.eq(part.close),
        ]
        with m.If(advance):
            m.d.sync += [*_choose(part, part.others), have_part.eq(~part.final)]
        with m.If(move):
            spikes = select(chosen, parts)
            m.d.sync += [
                part.patterns.as_value().eq(spikes),
                *_choose(part, select(chosen, slices(firing, len(part.chosen)))),
                part.number.eq(number_of(chosen)),
                part.row.eq(word.row),
                part.last.eq(word.last & ~later.any()),
                part.tail.eq(word.tail),
                part.close.eq(word.close),
                have_part.eq(1),
                waiting.eq(later),
                have_word.eq(later.any()),
            ]
        with m.If(self.words.valid & self.words.ready):
            arriving = self.words.payload
            spikes = arriving.spikes.as_value()
            m.d.sync += [word.eq(arriving), have_word.eq(1)]
            m.d.sync += [waiting.eq(_firing(spikes, width)), firing.eq(_firing(spikes, self.config.timesteps))]
        return m


def _choose(part, remaining):
    """Choose the lowest channel of those that remain: a cycle before it is sent."""
    chosen, others = lowest(remaining)
    return part.chosen.eq(chosen), part.others.eq(others), part.final.eq(~others.any())


def _firing(value, width):
    """One bit for every ``width`` bits: whether any of them is set."""
    return Cat(bits.any() for bits in slices(value, width))
