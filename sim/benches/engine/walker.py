"""The walker against the windows of every position."""

import random

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from hw.beats import address_shape, row_shape, rows_shape, segment_layout
from hw.config import HardwareConfig
from sim.benches.event_layer import EventLayer
from sim.benches.probe import Probe
from sim.streams import StreamSink, generator, monitor, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
ADDRESSES, ROWS, COUNTED_ROWS = (2 ** shape(CONFIG).width for shape in (address_shape, row_shape, rows_shape))


def expected(layer: EventLayer) -> list[tuple[list[tuple[int, int]], bool, bool]]:
    """The input beats of every position, (address, weight row), whether its group is the last, and whether it is the
    last of its tile."""
    return [
        (
            [
                (address % ADDRESSES, (row + group * layer.group_rows) % ROWS)
                for address, row in layer.input_beats(*place)
            ],
            group == layer.groups - 1,
            bool(route["close"]),
        )
        for group in range(layer.groups)
        for place, route in zip(layer.walk(), layer.places(group), strict=True)
    ]


def segment_count(layer: EventLayer) -> int:
    """Segments of a layer: one for every row of every window that lies in the map."""
    return layer.groups * sum(window_rows(layer))


def window_rows(layer: EventLayer) -> list[int]:
    """Rows of the window of every position of a group that lie in the map."""
    return [len({row for _, row, _ in layer.taps(y, x)}) for _, y, x, _ in layer.walk()]


def observed(payloads: list[int]) -> list[tuple[list[tuple[int, int]], bool, bool]]:
    """Segments as `expected` has them; the last one must close a position."""
    positions, beats = [], []
    for payload in payloads:
        segment = segment_layout(CONFIG).from_bits(payload)
        for beat in range(segment.beats):
            beats.append(((segment.address + beat) % ADDRESSES, (segment.row + beat * CONFIG.beat_channels) % ROWS))
        if segment.last:
            positions.append((beats, bool(segment.tail), bool(segment.close)))
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
        passes=rng.randint(1, CONFIG.passes),
        shared=rng.random() < 0.2,
        input_base=rng.randrange(ADDRESSES),
        weight_base=rng.randrange(2 * COUNTED_ROWS),
    )


class Rows:
    """Being the weights that arrive: those of the layer are there, or where it is ``late`` come beat by beat."""

    def __init__(self, dut, rng: random.Random):
        self._dut, self._rng = dut, rng
        self.ready = self._all = 0
        self.late, self.stall = False, 0.0
        cocotb.start_soon(self._run())

    def begin(self, layer: EventLayer) -> None:
        """Be the rows of this layer."""
        self._all = layer.weight_base + layer.groups * layer.group_rows
        self.ready = layer.weight_base if self.late else self._all

    async def _run(self) -> None:
        while True:
            if self.ready < self._all and self._rng.random() >= self.stall:
                self.ready += CONFIG.beat_channels
            self._dut.rows_ready.value = self.ready % COUNTED_ROWS
            await RisingEdge(self._dut.clk)


async def gate(dut, rows: Rows) -> None:
    """Fail when a segment is offered before its rows are there, or one waits and ``waiting`` does not say so."""
    while True:
        await ReadOnly()
        if dut.segments__valid.value:
            segment = segment_layout(CONFIG).from_bits(int(dut.segments__payload.value))
            assert not dut.waiting.value
            if rows.late:
                ahead = int(dut.rows_ready.value) - (segment.row + segment.beats * CONFIG.beat_channels)
                assert ahead % ROWS < ROWS // 2
        await RisingEdge(dut.clk)


async def prepare(dut) -> tuple[StreamSink, Rows]:
    dut.layer.value = dut.start.value = dut.hold.value = 0
    rows = Rows(dut, generator("rows"))
    await start(dut)
    monitor(dut, ["segments"])
    cocotb.start_soon(gate(dut, rows))
    return StreamSink(dut, "segments"), rows


async def begin(dut, rows: Rows, layer: EventLayer) -> None:
    """Start a layer; returns after the cycle of the start."""
    rows.begin(layer)
    dut.layer.value, dut.start.value = layer.descriptor(), 1
    await RisingEdge(dut.clk)
    dut.start.value = 0


async def check(dut, sink: StreamSink, rows: Rows, layer: EventLayer) -> None:
    probe = Probe(dut, ["begun"])
    await begin(dut, rows, layer)
    assert observed(await sink.get(segment_count(layer))) == expected(layer), layer
    probe.stop()
    assert len(probe.when("begun")) == len(window_rows(layer))


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def random_layers(dut):
    """Layers of all shapes, each started right after the last segment of the one before."""
    sink, rows = await prepare(dut)
    rng = generator("layers")
    for stall in (0.0, 0.5):
        sink.stall = stall
        for _ in range(25):
            await check(dut, sink, rows, random_layer(rng))
    for _ in range(10):
        await RisingEdge(dut.clk)
    assert not sink.items


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def late_rows_and_holds(dut):
    """No segment comes before its rows, no position of the first group while it is held; then everything goes on."""
    sink, rows = await prepare(dut)
    rng = generator("late")
    waited, rows.late = 0, True
    for stall in (0.0, 0.7, 0.95):
        rows.stall = stall
        for _ in range(8):
            layer = random_layer(rng)
            probe = Probe(dut, ["waiting", "segments__valid"])
            await check(dut, sink, rows, layer)
            probe.stop()
            waited += len(probe.when("waiting"))
            assert not any(cycle.waiting and cycle.segments__valid for cycle in probe.cycles)
    assert waited
    rows.late = False
    for _ in range(10):
        layer = random_layer(rng)
        dut.hold.value = 1
        probe = Probe(dut, ["begun", "segments__valid"])
        await begin(dut, rows, layer)
        for _ in range(20):
            await RisingEdge(dut.clk)
        probe.stop()
        assert not any(cycle.begun or cycle.segments__valid for cycle in probe.cycles)
        dut.hold.value = 0
        assert observed(await sink.get(segment_count(layer))) == expected(layer), layer


@cocotb.test(timeout_time=4, timeout_unit="ms")
async def corners(dut):
    """Maps of one row, one column, one position, and the widest pixels, with a 3x3 window."""
    sink, rows = await prepare(dut)
    sizes = {"config": CONFIG, "outputs": CONFIG.lanes + 1, "kernel": 3}
    for height, width in ((1, 1), (1, 2), (2, 1), (1, 5), (5, 1), (2, 2)):
        await check(dut, sink, rows, EventLayer(height=height, width=width, channels=5, **sizes))
    channels = CONFIG.weight_depth // 9 // CONFIG.beat_channels * CONFIG.beat_channels
    await check(dut, sink, rows, EventLayer(height=3, width=3, channels=channels, **sizes))


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def timing(dut):
    """Seven cycles to the first segment; then one in two cycles, four a position; one more where no row is above."""
    sink, rows = await prepare(dut)
    rng = generator("timing")
    for _ in range(20):
        layer = random_layer(rng)
        probe = Probe(dut, ["start", "segments__valid"])
        await check(dut, sink, rows, layer)
        probe.stop()
        begun, expected_cycles = probe.when("start")[0] + 5, []
        for (_, y, _, _), count in list(zip(layer.walk(), window_rows(layer), strict=True)) * layer.groups:
            cycle = begun + 2 + int(layer.kernel == 3 and y == 0)
            if expected_cycles:
                cycle = max(cycle, expected_cycles[-1] + 2)
            expected_cycles += [cycle + 2 * number for number in range(count)]
            # The next position begins when the last segment of this one is on its way.
            begun = max(begun + 4, expected_cycles[-1])
        assert probe.when("segments__valid") == expected_cycles, layer


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """A reset forgets the layer; the next one is complete."""
    sink, rows = await prepare(dut)
    sink.stall = 0.3
    rng = generator("reset")
    for cycles in range(1, 24):
        await begin(dut, rows, random_layer(rng))
        for _ in range(cycles):
            await RisingEdge(dut.clk)
        await reset(dut, 1)
        sink.items.clear()
        await check(dut, sink, rows, random_layer(rng))
