"""The emitter against the channels that fire."""

import random

import cocotb
from cocotb.triggers import ClockCycles

from hw.beats import event_layout, row_shape, word_layout
from hw.config import HardwareConfig
from sim.benches.probe import Probe
from sim.streams import StreamSink, StreamSource, generator, monitor, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
CHANNELS, T = CONFIG.word_channels, CONFIG.timesteps
ROWS = 2 ** row_shape(CONFIG).width


def expected(words: list[dict]) -> list[tuple[int, int | None, bool, bool, bool]]:
    """Pattern, row (None without a pattern), last, tail and close of every event."""
    events = []
    for word in words:
        firing = [(channel, pattern) for channel, pattern in enumerate(word["spikes"]) if pattern] or [(None, 0)]
        for channel, pattern in firing:
            row = None if channel is None else (word["row"] + channel) % ROWS
            last = word["last"] and (channel, pattern) == firing[-1]
            events.append((pattern, row, bool(last), bool(word["tail"]), bool(word["close"])))
    return events


def observed(payload: int) -> tuple[int, int | None, bool, bool, bool]:
    event = event_layout(CONFIG).from_bits(payload)
    row = event.row if event.pattern else None
    return event.pattern, row, bool(event.last), bool(event.tail), bool(event.close)


def random_words(rng: random.Random, count: int, density: float) -> list[dict]:
    """Words of which each channel fires with some probability; those in which none does close a position."""
    words = []
    for _ in range(count):
        spikes = [rng.randint(1, 2**T - 1) if rng.random() < density else 0 for _ in range(CHANNELS)]
        last = not any(spikes) or rng.random() < 0.3
        marks = {"last": last, "tail": rng.getrandbits(1), "close": rng.getrandbits(1)}
        words.append({"spikes": spikes, "row": rng.randrange(ROWS)} | marks)
    return words


class Bench:
    """The emitter between a source of words and a sink of events."""

    def __init__(self, dut):
        self.source, self.sink = StreamSource(dut, "words"), StreamSink(dut, "events")
        self.rng = generator("words")
        monitor(dut, ["events"])

    def send(self, words: list[dict]) -> None:
        self.source.put(
            word_layout(CONFIG).const({**word, "spikes": None}).as_bits() | pack(word["spikes"], T) for word in words
        )

    async def check(self, words: list[dict]) -> None:
        self.send(words)
        events = expected(words)
        assert [observed(payload) for payload in await self.sink.get(len(events))] == events


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def random_words_and_stalls(dut):
    """Words from silent to all firing, with all combinations of waiting sources and sinks."""
    await start(dut)
    bench = Bench(dut)
    for stalls in ((0, 0), (0.8, 0), (0, 0.6), (0.6, 0.4)):
        bench.source.stall, bench.sink.stall = stalls
        for density in (0, 0.05, 0.3, 1):
            await bench.check(random_words(bench.rng, 60, density))
    await ClockCycles(dut.clk, 10)
    assert not bench.sink.items


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def every_channel(dut):
    """Each channel alone, with each pattern, and each pair of neighbours."""
    await start(dut)
    bench = Bench(dut)
    rest = {"row": ROWS - 2, "last": 1, "tail": 0, "close": 0}
    words = []
    for channel in range(CHANNELS):
        for pattern in range(1, 2**T):
            words.append({"spikes": [pattern if i == channel else 0 for i in range(CHANNELS)], **rest})
        words.append({"spikes": [2**T - 1 if i in (channel, channel + 1) else 0 for i in range(CHANNELS)], **rest})
    await bench.check(words)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def timing(dut):
    """Three cycles to the first event; then one a cycle, across words of one event and of many."""
    await start(dut)
    bench = Bench(dut)
    for density in (0, 0.05, 0.3, 1):
        words = random_words(bench.rng, 40, density)
        probe = Probe(dut, ["words__valid", "events__valid"])
        await bench.check(words)
        probe.stop()
        first = probe.when("words__valid")[0] + 3
        assert probe.when("events__valid") == [first + number for number in range(len(expected(words)))]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """A reset drops the word inside and the event on offer."""
    await start(dut)
    bench = Bench(dut)
    bench.sink.stall = 0.5
    for cycles in range(1, 20):
        bench.send(random_words(bench.rng, 10, 0.5))
        await ClockCycles(dut.clk, cycles)
        bench.source.stop()
        await reset(dut, 1)
        bench.sink.items.clear()
        bench.source = StreamSource(dut, "words")
        await bench.check(random_words(bench.rng, 3, 0.5))
