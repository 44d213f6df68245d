"""The lanes against sums of weight rows."""

import random
from dataclasses import dataclass

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge

from hw.beats import event_layout
from hw.config import WEIGHT_BITS, HardwareConfig
from sim.benches.probe import Probe
from sim.benches.served import serve
from sim.streams import StreamSink, StreamSource, generator, monitor, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
T = CONFIG.timesteps


@dataclass(frozen=True)
class Event:
    """A weight row for the timesteps of a pattern."""

    row: int
    pattern: int
    last: bool

    def payload(self) -> int:
        return event_layout(CONFIG).const({**vars(self), "tail": 0}).as_bits()


def random_position(rng: random.Random, events: int) -> list[Event]:
    """Events of one position; one alone may be an empty one."""
    patterns = [rng.randint(1, 2**T - 1) for _ in range(events)]
    if events == 1 and rng.random() < 0.5:
        patterns = [0]
    rows = [rng.randrange(CONFIG.weight_depth) if pattern else rng.getrandbits(24) for pattern in patterns]
    return [Event(row, pattern, n == events - 1) for n, (row, pattern) in enumerate(zip(rows, patterns, strict=True))]


class Bench:
    """The lanes between a source of events and a sink of sums, beside a weight memory."""

    def __init__(self, dut, *, rng: random.Random):
        self.dut, self.rng = dut, rng
        self.weights = np.zeros((CONFIG.weight_depth, CONFIG.lanes), np.int64)
        self.source, self.sink = StreamSource(dut, "events"), StreamSink(dut, "sums")
        self.totals = np.zeros((CONFIG.lanes, T), np.int64)
        serve(dut, "weight_", lambda row: pack(self.weights[row], WEIGHT_BITS))
        monitor(dut, ["sums"])

    def use(self, weights: np.ndarray) -> None:
        self.weights = weights

    async def clear(self) -> None:
        self.dut.clear.value = 1
        await RisingEdge(self.dut.clk)
        self.dut.clear.value = 0
        self.totals[:] = 0

    def expected(self, events: list[Event], beats: int) -> list[int]:
        """The beats that leave; ``totals`` goes on."""
        found = []
        for event in events:
            steps = np.array([event.pattern >> t & 1 for t in range(T)])
            if event.pattern:
                self.totals += np.outer(self.weights[event.row], steps)
            if event.last:
                rows = self.totals.reshape(-1, CONFIG.beat_channels * T)[:beats]
                found += [pack(row, CONFIG.acc_bits) for row in rows]
        return found

    async def check(self, positions: list[list[Event]], beats: int) -> None:
        """Send positions and compare the copies that leave."""
        self.dut.beats.value = beats
        events = [event for position in positions for event in position]
        expected = self.expected(events, beats)
        self.source.put(event.payload() for event in events)
        assert await self.sink.get(len(expected)) == expected


def random_weights(rng: random.Random) -> np.ndarray:
    shape = (CONFIG.weight_depth, CONFIG.lanes)
    return np.random.default_rng(rng.getrandbits(32)).integers(-127, 128, shape)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def random_positions_and_stalls(dut):
    """Positions of one event and of many, full and partial groups, with all combinations of waiting ends.

    The sums run through many times the range of an accumulator."""
    await start(dut)
    bench = Bench(dut, rng=generator("positions"))
    for stalls in ((0, 0), (0.6, 0), (0, 0.6), (0.3, 0.8)):
        bench.source.stall, bench.sink.stall = stalls
        bench.use(random_weights(bench.rng))
        for beats in range(1, CONFIG.group_beats + 1):
            await bench.clear()
            positions = [random_position(bench.rng, bench.rng.choice((1, 1, 2, 5, 20))) for _ in range(40)]
            await bench.check(positions, beats)
            await bench.check(positions[:3], beats)
    await ClockCycles(dut.clk, 10)
    assert not bench.sink.items


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def corners(dut):
    """The largest weights of both signs, all timesteps, far beyond the range; a layer in which nothing fires."""
    await start(dut)
    bench = Bench(dut, rng=generator("corners"))
    for weight in (127, -127, -128):
        bench.use(np.full((CONFIG.weight_depth, CONFIG.lanes), weight))
        await bench.check([[Event(CONFIG.weight_depth - 1, 2**T - 1, n == 29) for n in range(30)]] * 3, 2)
    await bench.clear()
    await bench.check([[Event(0, 0, True)]] * 10, CONFIG.group_beats)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def timing(dut):
    """A position takes a cycle an event, and at least one a beat; its beats leave three cycles after its last event.

    The lanes stand still when a position is complete before the beats of the one before it have left."""
    await start(dut)
    bench = Bench(dut, rng=generator("timing"))
    bench.use(random_weights(bench.rng))
    for beats in range(1, CONFIG.group_beats + 1):
        lengths = [bench.rng.choice((1, 2, 3, beats, beats + 1, 12)) for _ in range(40)]
        probe = Probe(dut, ["events__valid", "events__ready", "sums__valid"])
        await bench.check([random_position(bench.rng, length) for length in lengths], beats)
        probe.stop()
        (offered, *_) = probe.when("events__valid")
        copied, blocked = [offered + lengths[0] + 1], set()
        for length in lengths[1:]:
            blocked.update(range(copied[-1] + length, copied[-1] + beats))
            copied.append(copied[-1] + max(length, beats))
        assert probe.when("sums__valid") == [cycle + 1 + beat for cycle in copied for beat in range(beats)]
        taken = [n for n, cycle in enumerate(probe.cycles) if cycle.events__valid and cycle.events__ready]
        assert taken == [n for n in range(offered, taken[-1] + 1) if n not in blocked]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """A reset drops the copy on its way out and the sums."""
    await start(dut)
    bench = Bench(dut, rng=generator("reset"))
    bench.use(random_weights(bench.rng))
    bench.sink.stall = 0.3
    for cycles in range(1, 20):
        bench.source.put(event.payload() for _ in range(10) for event in random_position(bench.rng, 4))
        await ClockCycles(dut.clk, cycles)
        bench.source.stop()
        await reset(dut, 1)
        bench.sink.items.clear()
        bench.totals[:] = 0
        bench.source = StreamSource(dut, "events")
        await bench.check([random_position(bench.rng, length) for length in (3, 1, 8)], 2)
