"""Reads the spike words of the segments and drops those in which nothing fires."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.beats import segment_layout, word_layout
from hw.config import HardwareConfig
from hw.neurons.one_hot import slices
from hw.neurons.pipeline import delay

IN_FLIGHT = 6
"""Words between the decision to read and the FIFO: decided, being requested, read, masked, judged and held back."""

JUDGED_BITS = 16
"""Spikes that one bit stands for when a word is judged."""


class Fetcher(wiring.Component):
    """Turns segments into the words that hold spikes, ahead of the emitter.

    A word in which no channel of the segment fires is dropped here, so it costs a read but no engine cycle as long as
    the FIFO is not empty. The last word of a position is held back until the position's end is known, so that the mark
    of the end travels on a word with spikes; only an all-silent position sends an empty word.

    Members
    -------
    segments : In(stream of `hw.beats.segment_layout`)
    wanted : Out(1), a word is read in this cycle, if the memory is not in use ...
    blocked : In(1), ... by someone else
    enable : Out(1), a word is read in this cycle
    address : Out, the word in spike memory
    data : In, the word, one cycle after its address
    words : Out(stream of `hw.beats.word_layout`)

    Latency: seven cycles from a segment to its first word.
    Throughput: one word read a cycle, if the FIFO has at least eight places.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        layout = word_layout(config)
        super().__init__(
            {
                "segments": In(stream.Signature(segment_layout(config))),
                "wanted": Out(1),
                "blocked": In(1),
                "enable": Out(1),
                "address": Out(range(config.spike_depth)),
                "data": In(layout["spikes"].shape),
                "words": Out(stream.Signature(layout)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        layout = word_layout(self.config)
        fifo = SyncFIFOBuffered(width=layout.size, depth=self.config.fifo_depth)
        m.submodules.fifo = fifo
        m.d.comb += [
            self.words.payload.as_value().eq(fifo.r_data),
            self.words.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(self.words.ready),
        ]
        room = delay(m, fifo.level <= self.config.fifo_depth - IN_FLIGHT, 1)
        valid, mask, word = self._read(m, room)
        self._hold(m, *self._judge(m, valid, mask, word), fifo)
        return m

    def _read(self, m, room):
        """Cut segments into words; return valid, the mask of beats, and the word that arrives, still without spikes."""
        beats = self.config.word_beats
        shift, slots = beats.bit_length() - 1, self.config.beat_channels.bit_length() - 1
        payload = self.segments.payload
        # From here on addresses are those of words, and the row is that of the word's first channel.
        segment = Signal(payload.shape())
        first = payload.address[:shift] if shift else 0
        offset, left = Signal(range(max(2, beats))), Signal(len(payload.beats) + 1)
        active, finish = Signal(), Signal()  # finish: no more is left than a word has
        m.d.comb += [
            self.wanted.eq(active & room),
            self.enable.eq(self.wanted & ~self.blocked),
            self.address.eq(segment.address),
            self.segments.ready.eq(~active | (self.enable & finish)),
        ]
        valid, mask, word = Signal(), Signal(beats), Signal(word_layout(self.config))
        m.d.sync += valid.eq(self.enable)
        with m.If(self.enable):
            inside = Cat((beat >= offset) & (~finish | (beat < left[: shift + 1])) for beat in range(beats))
            m.d.sync += [
                mask.eq(inside),
                word.row.eq(segment.row),
                word.last.eq(segment.last & finish),
                word.tail.eq(segment.tail),
                word.close.eq(segment.close),
                segment.address.eq(segment.address + 1),
                segment.row.eq(segment.row + self.config.word_channels),
                left.eq(left - beats),
                finish.eq(left <= 2 * beats),
                offset.eq(0),
                active.eq(~finish),
            ]
        with m.If(self.segments.valid & self.segments.ready):
            total = payload.beats + first
            m.d.sync += [
                segment.eq(payload),
                segment.address.eq(payload.address >> shift),
                segment.row.eq(payload.row - (first << slots)),
                offset.eq(first),
                left.eq(total),
                finish.eq(total <= beats),
                active.eq(1),
            ]
        return valid, mask, word

    def _judge(self, m, valid, mask, word):
        """Mask a word that arrives, and find out whether it fires, a cycle for each; return (valid, fires, word)."""
        masked, judged = Signal.like(word), Signal.like(word)
        masked_valid, judged_valid = Signal(), Signal()
        beat_bits = self.config.beat_channels * self.config.timesteps
        arrived = Cat(
            Mux(select, bits, 0) for bits, select in zip(slices(self.data.as_value(), beat_bits), mask, strict=True)
        )
        parts = slices(masked.spikes.as_value(), JUDGED_BITS)
        firing = Signal(len(parts))
        m.d.sync += [masked_valid.eq(valid), judged_valid.eq(masked_valid)]
        m.d.sync += [
            masked.eq(word),
            masked.spikes.as_value().eq(arrived),
            judged.eq(masked),
            firing.eq(Cat(part.any() for part in parts)),
        ]
        return judged_valid, firing.any(), judged

    def _hold(self, m, valid, fires, word, fifo):
        """Keep the newest word with spikes until it is known whether it is the last of its position."""
        held = Signal(word_layout(self.config))
        have = Signal()
        m.d.comb += fifo.w_data.eq(held)
        with m.If(valid & fires):
            m.d.comb += fifo.w_en.eq(have)
            m.d.sync += [held.eq(word), have.eq(1)]
        with m.Elif(valid & word.last):
            with m.If(have & ~held.last):
                m.d.sync += held.last.eq(1)
            with m.Else():
                m.d.comb += fifo.w_en.eq(have)
                m.d.sync += [held.eq(word), have.eq(1)]
        with m.Elif(held.last):
            m.d.comb += fifo.w_en.eq(have)
            m.d.sync += have.eq(0)
