"""The fetcher against the words that the segments overlap."""

import random
from dataclasses import dataclass

import cocotb
from cocotb.triggers import ClockCycles

from hw.beats import row_shape, segment_layout, spikes_layout, word_layout
from hw.config import HardwareConfig
from sim.benches.probe import Probe
from sim.benches.served import serve, toggle
from sim.streams import StreamSink, StreamSource, generator, monitor, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
BEAT, WORD_BEATS = spikes_layout(CONFIG).size, CONFIG.word_beats
WORD = BEAT * WORD_BEATS
BEATS = CONFIG.spike_depth * WORD_BEATS
ROWS = 2 ** row_shape(CONFIG).width


@dataclass(frozen=True, kw_only=True)
class Segment:
    address: int
    beats: int
    row: int
    last: bool
    tail: bool
    close: bool = False

    def payload(self) -> int:
        return segment_layout(CONFIG).const(vars(self)).as_bits()

    def words(self) -> range:
        """Addresses of the words that the segment overlaps."""
        return range(self.address // WORD_BEATS, (self.address + self.beats - 1) // WORD_BEATS + 1)


class Spikes:
    """Contents of spike memory, by beat."""

    def __init__(self, rng: random.Random, density: float):
        self.beats = [rng.getrandbits(BEAT) if rng.random() < density else 0 for _ in range(BEATS)]

    def word(self, address: int, within: Segment | None = None) -> int:
        """A word, all of it or only what lies in a segment."""
        beats = range(address * WORD_BEATS, (address + 1) * WORD_BEATS)
        inside = within and range(within.address, within.address + within.beats)
        return pack((self.beats[beat] if inside is None or beat in inside else 0 for beat in beats), BEAT)


def expected(segments: list[Segment], spikes: Spikes) -> list[tuple[int, int | None, bool, bool, bool]]:
    """Spikes, row (None in an empty word), last, tail and close of every word that leaves."""
    words, position = [], []
    for segment in segments:
        for address in segment.words():
            row = segment.row + (address * WORD_BEATS - segment.address) * CONFIG.beat_channels
            if found := spikes.word(address, segment):
                position.append((found, row % ROWS))
        if segment.last:
            marks = (segment.tail, segment.close)
            words += [(*word, False, *marks) for word in position[:-1]]
            words.append((*(position or [(0, None)])[-1], True, *marks))
            position = []
    return words


def observed(payload: int) -> tuple[int, int | None, bool, bool, bool]:
    word = word_layout(CONFIG).from_bits(payload)
    spikes = word.spikes.as_bits()
    return spikes, word.row if spikes else None, bool(word.last), bool(word.tail), bool(word.close)


def random_segments(rng: random.Random, positions: int, longest: int) -> list[Segment]:
    segments = []
    for _ in range(positions):
        marks = {"tail": rng.random() < 0.3, "close": rng.random() < 0.5}
        count = rng.randint(1, 3)
        for number in range(count):
            beats = rng.randint(1, longest)
            row = rng.randrange(ROWS)
            address = rng.randrange(BEATS - beats + 1)
            segments.append(Segment(address=address, beats=beats, row=row, last=number == count - 1, **marks))
    return segments


class Bench:
    """The fetcher between a source of segments and a sink of words, beside a spike memory."""

    def __init__(self, dut):
        self.dut = dut
        self.spikes = Spikes(generator("empty"), 0)
        self.source, self.sink = StreamSource(dut, "segments"), StreamSink(dut, "words")
        self.rng = generator("bench")
        self.blocked = 0.0
        toggle(dut, "blocked", lambda: self.blocked, rng=generator("blocked"))
        serve(dut, "", lambda address: self.spikes.word(address), noise=generator("noise"))
        monitor(dut, ["words"])

    async def check(self, segments: list[Segment], *, density: float) -> None:
        """Send segments; compare the words that leave, and how many are read."""
        probe = Probe(self.dut, ["enable"])
        self.spikes = Spikes(self.rng, density)
        words = expected(segments, self.spikes)
        self.source.put([segment.payload() for segment in segments])
        assert [observed(payload) for payload in await self.sink.get(len(words))] == words
        probe.stop()
        assert len(probe.when("enable")) == sum(len(segment.words()) for segment in segments)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def random_segments_and_stalls(dut):
    """Memories from silent to all firing, with all combinations of waiting sources and sinks."""
    await start(dut)
    bench = Bench(dut)
    for stalls in ((0, 0), (0.6, 0), (0, 0.6), (0.4, 0.4), (0, 0.95)):
        bench.source.stall, bench.sink.stall = stalls
        for density in (0, 0.02, 0.1, 0.5, 1):
            for bench.blocked in (0.0, 0.5):
                await bench.check(random_segments(bench.rng, 25, 4 * WORD_BEATS), density=density)
    bench.blocked = 0.0
    await ClockCycles(dut.clk, 10)
    assert not bench.sink.items


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def corners(dut):
    """Segments from every beat of a word to every other, the whole memory, its last beat."""
    await start(dut)
    bench = Bench(dut)
    row = {"row": ROWS - 1, "tail": True}
    for density in (0, 0.3, 1):
        segments = [
            Segment(address=address, beats=beats, last=last, **row)
            for last in (False, True)
            for address in range(WORD_BEATS)
            for beats in range(1, 2 * WORD_BEATS + 1)
        ]
        segments.append(Segment(address=0, beats=BEATS, last=True, **row))
        segments.append(Segment(address=BEATS - 1, beats=1, last=True, **row))
        await bench.check(segments, density=density)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def timing(dut):
    """Seven cycles to the first word; then a word read in every cycle, silent or not."""
    await start(dut)
    bench = Bench(dut)
    probe = Probe(dut, ["segments__valid", "words__valid"])
    await bench.check([Segment(address=1, beats=1, row=0, last=True, tail=False)], density=1)
    probe.stop()
    assert probe.when("words__valid") == [probe.when("segments__valid")[0] + 7]
    for density in (0, 1):
        segments = random_segments(bench.rng, 30, 3 * WORD_BEATS)
        probe = Probe(dut, ["enable"])
        await bench.check(segments, density=density)
        probe.stop()
        reads = probe.when("enable")
        assert reads == list(range(reads[0], reads[0] + len(reads)))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def fills_its_fifo(dut):
    """While the sink waits, as many words as the FIFO has places are read ahead, and none is lost."""
    await start(dut)
    bench = Bench(dut)
    bench.sink.stall = 1
    segments = [Segment(address=0, beats=3 * CONFIG.fifo_depth * WORD_BEATS, row=0, last=True, tail=False)]
    bench.spikes = Spikes(bench.rng, 1)
    bench.source.put([segment.payload() for segment in segments])
    probe = Probe(dut, ["enable"])
    await ClockCycles(dut.clk, 4 * CONFIG.fifo_depth)
    probe.stop()
    assert len(probe.when("enable")) == CONFIG.fifo_depth
    bench.sink.stall = 0
    words = expected(segments, bench.spikes)
    assert [observed(payload) for payload in await bench.sink.get(len(words))] == words


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """A reset drops the segments and words inside."""
    await start(dut)
    bench = Bench(dut)
    bench.sink.stall = 0.3
    for cycles in range(1, 20):
        bench.spikes = Spikes(bench.rng, 0.5)
        bench.source.put([segment.payload() for segment in random_segments(bench.rng, 10, 3 * WORD_BEATS)])
        await ClockCycles(dut.clk, cycles)
        bench.source.stop()
        await reset(dut, 1)
        bench.sink.items.clear()
        bench.source = StreamSource(dut, "segments")
        await bench.check(random_segments(bench.rng, 3, 2 * WORD_BEATS), density=0.5)
