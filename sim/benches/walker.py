"""The walker against the windows of every position."""

import random

import cocotb
from cocotb.triggers import RisingEdge

from hw.beats import segment_layout
from hw.config import HardwareConfig
from hw.program import ADDRESS
from sim.benches.event_layer import EventLayer
from sim.benches.probe import Probe
from sim.streams import StreamSink, generator, monitor, parameters, reset, start

CONFIG = HardwareConfig(**parameters())


def expected(layer: EventLayer) -> list[tuple[list[tuple[int, int]], bool]]:
    """The input beats of every position, (address, weight row), and whether its group is the last."""
    mask = 2**ADDRESS.width - 1
    return [
        (
            [(address & mask, row + group * layer.group_rows & mask) for address, row in layer.input_beats(*place)],
            group == layer.groups - 1,
        )
        for group in range(layer.groups)
        for place in layer.walk()
    ]


def segment_count(layer: EventLayer) -> int:
    """Segments of a layer: one for every row of every window that lies in the map."""
    rows = (len({row for _, row, _ in layer.taps(y, x)}) for y, x, _ in layer.walk())
    return layer.groups * sum(rows)


def observed(payloads: list[int]) -> list[tuple[list[tuple[int, int]], bool]]:
    """Segments as `expected` has them; the last one must close a position."""
    positions, beats = [], []
    mask = 2**ADDRESS.width - 1
    for payload in payloads:
        segment = segment_layout().from_bits(payload)
        for beat in range(segment.beats):
            beats.append((segment.address + beat & mask, segment.row + beat * CONFIG.beat_channels & mask))
        if segment.last:
            positions.append((beats, bool(segment.tail)))
            beats = []
    assert not beats, "segments after the last position"
    return positions


def random_layer(rng: random.Random) -> EventLayer:
    side = rng.choice((1, 1, 2, 3))
    return EventLayer(
        config=CONFIG,
        height=side * rng.randint(1, 4),
        width=side * rng.randint(1, 4),
        channels=rng.randint(1, 3 * CONFIG.beat_channels),
        outputs=rng.randint(1, 3 * CONFIG.lanes),
        kernel=rng.choice((1, 3)),
        side=side,
        planes=rng.choice((1, 1, 2)),
        input_base=rng.getrandbits(ADDRESS.width),
        weight_base=rng.getrandbits(ADDRESS.width),
    )


async def begin(dut, layer: EventLayer) -> None:
    """Start a layer; returns after the cycle of the start."""
    dut.layer.value, dut.start.value = layer.descriptor(), 1
    await RisingEdge(dut.clk)
    dut.start.value = 0


async def check(dut, sink: StreamSink, layer: EventLayer) -> None:
    await begin(dut, layer)
    assert observed(await sink.get(segment_count(layer))) == expected(layer), layer


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def random_layers(dut):
    """Layers of all shapes, each started right after the last segment of the one before."""
    await start(dut)
    monitor(dut, ["segments"])
    sink = StreamSink(dut, "segments")
    rng = generator("layers")
    for stall in (0.0, 0.5):
        sink.stall = stall
        for _ in range(25):
            await check(dut, sink, random_layer(rng))
    for _ in range(10):
        await RisingEdge(dut.clk)
    assert not sink.items


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def corners(dut):
    """Maps of one row, one column, one position, and the widest pixels, with a 3x3 window."""
    await start(dut)
    sink = StreamSink(dut, "segments")
    sizes = {"config": CONFIG, "outputs": CONFIG.lanes + 1, "kernel": 3}
    for height, width in ((1, 1), (1, 2), (2, 1), (1, 5), (5, 1), (2, 2)):
        await check(dut, sink, EventLayer(height=height, width=width, channels=5, **sizes))
    await check(dut, sink, EventLayer(height=3, width=3, channels=4095 * CONFIG.beat_channels, **sizes))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def timing(dut):
    """Two cycles to the first segment, then one a cycle."""
    await start(dut)
    sink = StreamSink(dut, "segments")
    rng = generator("timing")
    for _ in range(10):
        layer = random_layer(rng)
        probe = Probe(dut, ["start", "segments__valid"])
        await check(dut, sink, layer)
        probe.stop()
        (begun,) = probe.when("start")
        assert probe.when("segments__valid") == [begun + 2 + number for number in range(segment_count(layer))]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """A reset forgets the layer; the next one is complete."""
    await start(dut)
    sink = StreamSink(dut, "segments", stall=0.3)
    rng = generator("reset")
    for cycles in range(1, 12):
        await begin(dut, random_layer(rng))
        for _ in range(cycles):
            await RisingEdge(dut.clk)
        await reset(dut, 1)
        sink.items.clear()
        await check(dut, sink, random_layer(rng))
