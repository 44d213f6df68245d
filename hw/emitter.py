"""From spike words to events, one a cycle."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import event_layout, word_layout
from hw.config import HardwareConfig


class Emitter(wiring.Component):
    """Sends one event for every channel of a word that fires at any timestep, lowest channel first.

    A word in which nothing fires (it closes an all-silent position) gives one event with an empty pattern.

    Members
    -------
    words : In(stream of `hw.beats.word_layout`)
    events : Out(stream of `hw.beats.event_layout`)

    Latency: two cycles from a word to its first event. Throughput: one event a cycle, across words too.
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
        channels = self.config.word_channels
        word = Signal(word_layout(self.config))
        remaining = Signal(channels)
        have, advance, finish = Signal(), Signal(), Signal()
        rest = Signal(channels)
        m.d.comb += [
            advance.eq(have & (~self.events.valid | self.events.ready)),
            rest.eq(remaining & (remaining - 1)),
            finish.eq(rest == 0),
            self.words.ready.eq(~have | (advance & finish)),
        ]
        lowest = remaining & ~rest
        index = Signal(range(channels))
        pattern = Signal(self.config.timesteps)
        m.d.comb += [
            index.eq(Cat(Cat(lowest[i] for i in range(channels) if i >> b & 1).any() for b in range(len(index)))),
            pattern.eq(_select(lowest, word.spikes)),
        ]
        with m.If(self.events.ready):
            m.d.sync += self.events.valid.eq(0)
        with m.If(advance):
            event = self.events.payload
            m.d.sync += [
                self.events.valid.eq(1),
                event.row.eq(word.row + index),
                event.pattern.eq(pattern),
                event.last.eq(word.last & finish),
                event.tail.eq(word.tail),
                remaining.eq(rest),
                have.eq(~finish),
            ]
        with m.If(self.words.valid & self.words.ready):
            fires = Cat(pattern.any() for pattern in self.words.payload.spikes)
            m.d.sync += [word.eq(self.words.payload), remaining.eq(fires), have.eq(1)]
        return m


def _select(one_hot, patterns):
    """The pattern whose bit is set, as an AND-OR so that no priority is built; zero when none is."""
    terms = [Mux(one_hot[i], pattern, 0) for i, pattern in enumerate(patterns)]
    while len(terms) > 1:
        terms = [a | b for a, b in zip(terms[::2], terms[1::2], strict=False)] + terms[len(terms) & ~1 :]
    return terms[0]
