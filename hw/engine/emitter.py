"""From spike words to events, one a cycle."""

from amaranth import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import event_layout, word_layout
from hw.config import HardwareConfig

PART_CHANNELS = 8
"""Channels among which the next one that fires is found in a cycle."""


def part_layout(config: HardwareConfig) -> data.StructLayout:
    """A part of a word: its patterns, the channels still to send, and the part's number within the word."""
    width = min(PART_CHANNELS, config.word_channels)
    parts = config.word_channels // width
    patterns = data.ArrayLayout(unsigned(config.timesteps), width)
    rest = {name: field.shape for name, field in word_layout(config) if name != "spikes"}
    number = unsigned(max(1, (parts - 1).bit_length()))
    return data.StructLayout({"patterns": patterns, "remaining": width, "number": number} | rest)


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
        word, part = Signal(word_layout(self.config)), Signal(part_layout(self.config))
        have_word, have_part = Signal(), Signal()
        move, advance, final = Signal(), Signal(), Signal()
        width = len(part.patterns.as_value())
        parts = _slices(word.spikes.as_value(), width)
        waiting = Signal(len(parts))
        chosen, later = _lowest(waiting)
        channel, others = _lowest(part.remaining)
        m.d.comb += [
            final.eq(~others.any()),
            advance.eq(have_part & (~self.events.valid | self.events.ready)),
            move.eq(have_word & (~have_part | (advance & final))),
            self.words.ready.eq(~have_word | (move & ~later.any())),
        ]
        with m.If(self.events.ready):
            m.d.sync += self.events.valid.eq(0)
        with m.If(advance):
            event = self.events.payload
            m.d.sync += [
                self.events.valid.eq(1),
                event.row.eq(part.row + Cat(_number(channel), part.number)),
                event.pattern.eq(_select(channel, part.patterns)),
                event.last.eq(part.last & final),
                event.tail.eq(part.tail),
                event.close.eq(part.close),
                part.remaining.eq(others),
                have_part.eq(~final),
            ]
        with m.If(move):
            spikes = _select(chosen, parts)
            m.d.sync += [
                part.patterns.as_value().eq(spikes),
                part.remaining.eq(_firing(spikes, self.config.timesteps)),
                part.number.eq(_number(chosen)),
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
            fires = _firing(arriving.spikes.as_value(), width)
            m.d.sync += [word.eq(arriving), waiting.eq(fires), have_word.eq(1)]
        return m


def _slices(value, width):
    return [value[start : start + width] for start in range(0, len(value), width)]


def _firing(value, width):
    """One bit for every ``width`` bits: whether any of them is set."""
    return Cat(bits.any() for bits in _slices(value, width))


def _lowest(bits):
    """The lowest set bit alone, and the others; in constant depth, because the groups are small."""
    below = Cat(Const(0, 1), *(bits[:number].any() for number in range(1, len(bits))))
    return bits & ~below, bits & below


def _number(one_hot):
    """The number of the bit that is set, 0 when none is."""
    width = (len(one_hot) - 1).bit_length()
    return Cat(Cat(one_hot[i] for i in range(len(one_hot)) if i >> b & 1).any() for b in range(width))


def _select(one_hot, values):
    """The value whose bit is set, as an AND-OR so that no priority is built; zero when none is."""
    terms = [Mux(one_hot[i], value, 0) for i, value in enumerate(values)]
    while len(terms) > 1:
        terms = [a | b for a, b in zip(terms[::2], terms[1::2], strict=False)] + terms[len(terms) & ~1 :]
    return terms[0]
