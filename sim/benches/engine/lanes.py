"""The lanes against sums of weight rows."""

import random
from dataclasses import dataclass

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge

from hw.beats import event_layout, fill_layout
from hw.config import WEIGHT_BITS, HardwareConfig
from hw.engine.lanes import lane_layout
from sim.benches.probe import Probe
from sim.streams import StreamSink, StreamSource, generator, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
T, BEATS, DEPTH = CONFIG.timesteps, CONFIG.group_beats, CONFIG.weight_depth
LATENCY = 6
"""Cycles from the last event of a position to its first beat."""

FILL_CYCLES = 3
"""Cycles from the last word of a row to the first event that may use it."""


@dataclass(frozen=True)
class Event:
    """A weight row for the timesteps of a pattern."""

    row: int
    pattern: int
    last: bool
    tail: bool
    close: bool = False

    def payload(self) -> int:
        return event_layout(CONFIG).const(vars(self)).as_bits()


def random_position(rng: random.Random, events: int, *, tail: bool = False, rows: range = range(DEPTH)) -> list[Event]:
    """Events of one position; one alone may be an empty one."""
    patterns = [rng.randint(1, 2**T - 1) for _ in range(events)]
    if events == 1 and rng.random() < 0.5:
        patterns = [0]
    chosen = [rng.choice(rows) if pattern else rng.randrange(DEPTH) for pattern in patterns]
    numbered, close = enumerate(zip(chosen, patterns, strict=True)), rng.random() < 0.3
    return [Event(row, pattern, number == events - 1, tail, close) for number, (row, pattern) in numbered]


class Bench:
    """The lanes between a source of events and a sink of sums; the weights come from here too."""

    def __init__(self, dut, *, rng: random.Random):
        self.dut, self.rng = dut, rng
        self.weights = np.zeros((DEPTH, CONFIG.lanes), np.int64)
        self.source, self.sink = StreamSource(dut, "events"), StreamSink(dut, "sums")
        self.totals = np.zeros((CONFIG.lanes, T), np.int64)
        self.last_beats = BEATS
        dut.clear.value = dut.fill__valid.value = 0
        self.set(interval=BEATS, last_beats=BEATS)

    async def begin(self) -> None:
        """Start the clock, and clear the accumulators, which have no reset."""
        await start(self.dut)
        await self.clear()

    def set(self, *, interval: int, last_beats: int, closing: int = 0) -> None:
        """Choose the intervals, ``closing`` cycles more at the end of a tile, and the beats of the last group."""
        self.dut.interval.value, self.dut.closing_interval.value = interval, interval + closing
        self.dut.last_beats.value = self.last_beats = last_beats

    async def fill(self, weights: np.ndarray, rows: range = range(DEPTH)) -> None:
        """Send some rows, with gaps between the words."""
        layout, bus = fill_layout(CONFIG), CONFIG.bus_bytes
        for row in rows:
            for word in range(CONFIG.row_words):
                while self.rng.random() < 0.2:
                    self.dut.fill__valid.value = 0
                    await RisingEdge(self.dut.clk)
                data = pack(weights[row, word * bus : (word + 1) * bus], WEIGHT_BITS)
                fields = {"row": row, "word": word, "data": data}
                self.dut.fill__valid.value, self.dut.fill__payload.value = 1, layout.const(fields).as_bits()
                await RisingEdge(self.dut.clk)
        self.dut.fill__valid.value = 0
        self.weights[rows] = weights[rows]
        await ClockCycles(self.dut.clk, FILL_CYCLES - 1)

    async def clear(self) -> None:
        """Begin a layer: nothing of the one before is in the lanes any more, shown or not."""
        await ClockCycles(self.dut.clk, BEATS)
        self.dut.clear.value = 1
        await RisingEdge(self.dut.clk)
        self.dut.clear.value = 0
        # The accumulators are cleared a cycle later; the events of a layer come long after its start.
        await RisingEdge(self.dut.clk)
        self.totals[:] = 0

    def expected(self, events: list[Event]) -> list[int]:
        """The beats that leave; ``totals`` goes on."""
        offsets = {name: field.offset for name, field in lane_layout(CONFIG)}
        found = []
        for event in events:
            if event.pattern:
                self.totals += np.outer(self.weights[event.row], [event.pattern >> t & 1 for t in range(T)])
            if event.last:
                beats = self.last_beats if event.tail else BEATS
                for beat, row in enumerate(self.totals.reshape(BEATS, -1)[:beats]):
                    marks = beat << offsets["beat"] | int(beat == beats - 1) << offsets["final"]
                    found.append(pack(row, CONFIG.acc_bits) << offsets["sums"] | marks)
        return found

    async def check(self, positions: list[list[Event]]) -> None:
        """Send positions and compare the sums that leave."""
        events = [event for position in positions for event in position]
        expected = self.expected(events)
        self.source.put(event.payload() for event in events)
        assert await self.sink.get(len(expected)) == expected


def random_weights(rng: random.Random) -> np.ndarray:
    return np.random.default_rng(rng.getrandbits(32)).integers(-127, 128, (DEPTH, CONFIG.lanes))


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def random_positions_and_stalls(dut):
    """Positions of one event and of many, full and partial groups, with and without gaps between the events.

    The sums run through many times the range of an accumulator."""
    bench = Bench(dut, rng=generator("positions"))
    await bench.begin()
    for stall in (0, 0.6):
        bench.source.stall = stall
        await bench.fill(random_weights(bench.rng))
        for last_beats in range(1, BEATS + 1):
            bench.set(interval=BEATS + bench.rng.choice((0, 1, 5, 20)), last_beats=last_beats, closing=7)
            await bench.clear()
            for tail in (False, True):
                lengths = [bench.rng.choice((1, 1, 2, 5, 20)) for _ in range(25)]
                await bench.check([random_position(bench.rng, length, tail=tail) for length in lengths])
    await ClockCycles(dut.clk, 10)
    assert not bench.sink.items


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def weights_arrive_while_others_are_used(dut):
    """One half of the buffer is written while events use the other, in turns."""
    bench = Bench(dut, rng=generator("arrive"))
    await bench.begin()
    halves = (range(DEPTH // 2), range(DEPTH // 2, DEPTH))
    await bench.fill(random_weights(bench.rng))
    for turn in range(6):
        used, written = halves[turn % 2], halves[1 - turn % 2]
        filling = cocotb.start_soon(bench.fill(random_weights(bench.rng), written))
        await bench.check([random_position(bench.rng, 6, rows=used) for _ in range(20)])
        await filling


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def corners(dut):
    """The largest weights of both signs, all timesteps, far beyond the range; a layer in which nothing fires."""
    bench = Bench(dut, rng=generator("corners"))
    await bench.begin()
    for weight in (127, -127, -128):
        await bench.fill(np.full((DEPTH, CONFIG.lanes), weight))
        await bench.check([[Event(DEPTH - 1, 2**T - 1, n == 29, False) for n in range(30)]] * 3)
    await bench.clear()
    await bench.check([[Event(0, 0, True, True)]] * 10)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def timing(dut):
    """A position takes a cycle an event, and at least an interval; its beats leave six cycles after its last event."""
    bench = Bench(dut, rng=generator("timing"))
    await bench.begin()
    await bench.fill(random_weights(bench.rng))
    for interval, closing in ((BEATS, 0), (BEATS + 1, 0), (2 * BEATS + 2, 0), (BEATS, BEATS + 3)):
        bench.set(interval=interval, last_beats=BEATS, closing=closing)
        # What the last position left waits for no one here.
        await ClockCycles(dut.clk, interval + closing)
        lengths = [bench.rng.choice((1, 2, 3, interval - 1, interval, interval + 1, 20)) for _ in range(40)]
        probe = Probe(dut, ["events__valid", "events__ready", "sums__valid"])
        positions = [random_position(bench.rng, length) for length in lengths]
        await bench.check(positions)
        probe.stop()
        taken, ends, cycle = [], [], probe.when("events__valid")[0]
        earliest = 0
        for length, position in zip(lengths, positions, strict=True):
            end = max(cycle + length - 1, earliest)
            earliest = end + interval + closing * position[-1].close
            taken += [*range(cycle, cycle + length - 1), end]
            ends.append(end)
            cycle = end + 1
        assert [n for n, seen in enumerate(probe.cycles) if seen.events__valid and seen.events__ready] == taken
        assert probe.when("sums__valid") == [end + LATENCY + beat for end in ends for beat in range(BEATS)]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """A reset drops the events inside; after the clear that begins a layer, sums are right. Weights stay."""
    bench = Bench(dut, rng=generator("reset"))
    await bench.begin()
    await bench.fill(random_weights(bench.rng))
    for cycles in range(1, 25):
        bench.source.put(event.payload() for _ in range(10) for event in random_position(bench.rng, 4))
        await ClockCycles(dut.clk, cycles)
        bench.source.stop()
        await reset(dut, 1)
        bench.sink.items.clear()
        await ClockCycles(dut.clk, LATENCY + BEATS)
        assert not bench.sink.items
        await bench.clear()
        bench.source = StreamSource(dut, "events")
        await bench.check([random_position(bench.rng, length) for length in (3, 1, 8)])
