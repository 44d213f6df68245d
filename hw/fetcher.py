"""Reads the spike words of the segments and drops those in which nothing fires."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hw.beats import segment_layout, word_layout
from hw.config import HardwareConfig
from hw.program import ADDRESS

IN_FLIGHT = 3
"""Words between the read request and the FIFO: one being read, one held back, one being written."""


class Fetcher(wiring.Component):
    """Turns segments into the words that hold spikes, ahead of the emitter.

    A word in which no channel of the segment fires is dropped here, so it costs a read but no engine cycle as long as
    the FIFO is not empty. The last word of a position is held back until the position's end is known, so that the mark
    of the end travels on a word with spikes; only an all-silent position sends an empty word.

    Members
    -------
    segments : In(stream of `hw.beats.segment_layout`)
    enable : Out(1), a word is read in this cycle
    address : Out, the word in spike memory
    data : In, the word, one cycle after its address
    words : Out(stream of `hw.beats.word_layout`)

    Latency: five cycles from a segment to its first word.
    Throughput: one word read a cycle, if the FIFO has at least five places.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        layout = word_layout(config)
        super().__init__(
            {
                "segments": In(stream.Signature(segment_layout())),
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
        room = fifo.level <= self.config.fifo_depth - IN_FLIGHT
        read = self._read(m, room)
        self._hold(m, read, fifo)
        return m

    def _read(self, m, room):
        """Cut segments into words; return (valid, mask of beats, row, last, tail) of the word that arrives."""
        beats = self.config.word_beats
        shift = beats.bit_length() - 1
        segment = Signal(segment_layout())
        active, finish = Signal(), Signal()
        offset = Signal(range(max(2, beats)))
        count = Signal(range(beats + 1))
        m.d.comb += [
            offset.eq(segment.address[:shift] if shift else 0),
            finish.eq(segment.beats <= beats - offset),
            count.eq(Mux(finish, segment.beats, beats - offset)),
            self.enable.eq(active & room),
            self.address.eq(segment.address >> shift),
            self.segments.ready.eq(~active | (self.enable & finish)),
        ]
        slots = self.config.beat_channels.bit_length() - 1
        valid, last, tail = Signal(), Signal(), Signal()
        mask = Signal(beats)
        row = Signal(ADDRESS)
        m.d.sync += valid.eq(self.enable)
        with m.If(self.enable):
            m.d.sync += [
                mask.eq(Cat((offset <= beat) & (beat < offset + count) for beat in range(beats))),
                row.eq(segment.row - (offset << slots)),
                last.eq(segment.last & finish),
                tail.eq(segment.tail),
                segment.address.eq(segment.address + count),
                segment.beats.eq(segment.beats - count),
                segment.row.eq(segment.row + (count << slots)),
                active.eq(~finish),
            ]
        with m.If(self.segments.valid & self.segments.ready):
            m.d.sync += [segment.eq(self.segments.payload), active.eq(1)]
        return valid, mask, row, last, tail

    def _hold(self, m, read, fifo):
        """Keep the newest word with spikes until it is known whether it is the last of its position."""
        valid, mask, row, last, tail = read
        word, held = Signal(word_layout(self.config)), Signal(word_layout(self.config))
        have, fires = Signal(), Signal()
        beat_bits = self.config.beat_channels * self.config.timesteps
        masked = Cat(
            bits & select.replicate(beat_bits)
            for bits, select in zip(_slices(self.data.as_value(), beat_bits), mask, strict=True)
        )
        m.d.comb += [
            word.spikes.as_value().eq(masked),
            word.row.eq(row),
            word.last.eq(last),
            word.tail.eq(tail),
            fires.eq(masked.any()),
            fifo.w_data.eq(held),
        ]
        with m.If(valid & fires):
            m.d.comb += fifo.w_en.eq(have)
            m.d.sync += [held.eq(word), have.eq(1)]
        with m.Elif(valid & last):
            with m.If(have & ~held.last):
                m.d.sync += held.last.eq(1)
            with m.Else():
                m.d.comb += fifo.w_en.eq(have)
                m.d.sync += [held.eq(word), have.eq(1)]
        with m.Elif(held.last):
            m.d.comb += fifo.w_en.eq(have)
            m.d.sync += have.eq(0)


def _slices(value, width):
    return [value[start : start + width] for start in range(0, len(value), width)]
