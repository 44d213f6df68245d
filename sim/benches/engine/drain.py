"""The drain against folds of the integer model: what leaves, and in which cycle."""

import random
from collections.abc import Iterator

import cocotb
import torch
from cocotb.triggers import RisingEdge

from golden.integer import max_pool, window_sums
from hw.config import HardwareConfig
from hw.engine.drain import RECALL_GAP
from hw.engine.fold import bit_plane_cycles
from hw.engine.lanes import lane_layout
from hw.program import Fold, Target
from sim.benches.event_layer import EventLayer
from sim.benches.probe import Probe
from sim.streams import generator, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
P, T, LANES = CONFIG.beat_channels, CONFIG.timesteps, CONFIG.lanes
LIMIT = 2 ** (CONFIG.acc_bits - 1)
LATENCY = 7 + bit_plane_cycles(CONFIG)
START_CYCLES = 3
"""Cycles from the start to the first beat at the earliest: those that the first place takes."""

PORTS = ["start", "sums__valid", "currents__valid", "currents__payload", "release", "done"]
LANE_OFFSETS = {name: field.offset for name, field in lane_layout(CONFIG)}


def random_sums(rng: random.Random, layer: EventLayer) -> torch.Tensor:
    """What every position summed, int64 [passes, planes, T, groups * LANES, height, width], often at its limits."""
    # The planes of a pixel are so small that their weighted sum is a current.
    limit = LIMIT if layer.planes == 1 else 2 ** (CONFIG.current_bits - T * layer.planes - 1)
    shape = (layer.passes, layer.planes, T, layer.groups * LANES, layer.height, layer.width)
    count = torch.Size(shape).numel()
    values = [rng.choice((0, -limit, limit - 1, rng.randint(-limit, limit - 1))) for _ in range(count)]
    sums = torch.tensor(values).reshape(shape)
    sums[:, :, :, layer.outputs :] = 0  # no channel, no weights
    return sums


def tiles(layer: EventLayer, sums: torch.Tensor) -> torch.Tensor:
    """Currents of all tiles, [passes * T, channels, rows, columns]."""
    if layer.fold is Fold.BITS:
        shifts = [T * (layer.planes - 1 - plane) + step for plane in range(layer.planes) for step in range(T)]
        weights = 2 ** torch.tensor(shifts).reshape(1, layer.planes, T, 1, 1, 1)
        return (sums * weights).sum(dim=(1, 2)).repeat_interleave(T, dim=0)
    if layer.fold is Fold.COUNTS:
        weights = 2 ** torch.arange(layer.planes - 1, -1, -1).reshape(1, layer.planes, 1, 1, 1, 1)
        return (sums * weights).sum(dim=1).flatten(0, 1)
    currents = sums[:, 0].flatten(0, 1)
    return max_pool(currents, layer.side) if layer.fold is Fold.MAX else window_sums(currents, layer.side)


def offered(layer: EventLayer, sums: torch.Tensor) -> Iterator[list[int]]:
    """The beats of every position: sums that run on from position to position and from group to group."""
    running = torch.zeros(T, LANES, dtype=torch.int64)
    for group in range(layer.groups):
        beats = len(layer.beats(group))
        for turn, y, x, plane in layer.walk():
            running += sums[turn, plane, :, group * LANES : (group + 1) * LANES, y, x]
            yield [
                pack(running[:, beat * P : (beat + 1) * P].T.flatten().tolist(), CONFIG.acc_bits)
                << LANE_OFFSETS["sums"]
                | beat << LANE_OFFSETS["beat"]
                | int(beat == beats - 1) << LANE_OFFSETS["final"]
                for beat in range(beats)
            ]


async def feed(dut, layer: EventLayer, sums: torch.Tensor, rng: random.Random, gaps: tuple[int, ...]) -> None:
    """Be the lanes: positions as close as they may be, with random gaps between them."""
    for beats, apart in zip(offered(layer, sums), layer.waits() * layer.groups, strict=True):
        for beat in beats:
            dut.sums__valid.value, dut.sums__payload.value = 1, beat
            await RisingEdge(dut.clk)
        dut.sums__valid.value = 0
        dut.sums__payload.value = rng.getrandbits(len(dut.sums__payload))
        for _ in range(apart - len(beats) + rng.choice(gaps)):
            await RisingEdge(dut.clk)


def expect(layer: EventLayer, sums: torch.Tensor, taken: list[int]) -> tuple[dict[int, int], list[int]]:
    """Payloads by the cycle in which they leave, and the cycles in which a group ends, from those of the beats."""
    outputs = sums[:, :, :, : layer.outputs]
    payloads = iter(layer.records(outputs[:, 0].flatten(0, 1), tiles(layer, outputs)))
    beats_taken, leaving, released = iter(taken), {}, []
    for group in range(layer.groups):
        for place in layer.places(group):
            cycles = [next(beats_taken) + LATENCY for _ in layer.beats(group)]
            if layer.position or (layer.tile and place["close"]):
                leaving |= {cycle: next(payloads) for cycle in cycles}
            if layer.position and layer.tile and place["close"]:
                leaving |= {cycle + len(cycles) + RECALL_GAP: next(payloads) for cycle in cycles}
        released.append(cycles[-1])
    assert next(payloads, None) is None
    return leaving, released


LAYERS = (
    {"position": Target.SPIKES},
    {"position": Target.STREAM_ADD, "side": 2, "counted": True},
    {"position": Target.LOGITS},
    {"fold": Fold.MAX, "side": 2, "tile": Target.STREAM_OPEN},
    {"fold": Fold.SUM, "side": 3, "tile": Target.QUERY},
    {"fold": Fold.SUM, "side": 1, "position": Target.SPIKES, "tile": Target.KEY},
    {"fold": Fold.SUM, "side": 2, "position": Target.SPIKES, "tile": Target.KEY},
    {"fold": Fold.BITS, "planes": CONFIG.chunks, "tile": Target.SPIKES},
    {"fold": Fold.COUNTS, "planes": 3, "tile": Target.QUERY},
)
"""The combinations of fold and targets that networks have."""


def random_layer(rng: random.Random, chosen: dict) -> EventLayer:
    """A layer of one kind; outputs in all sizes."""
    side = chosen.get("side", 1)
    return EventLayer(
        config=CONFIG,
        height=side * rng.randint(1, 3),
        width=side * rng.randint(1, 3),
        channels=P,
        outputs=rng.randint(1, 3 * LANES),
        passes=rng.randint(1, CONFIG.passes),
        position_params=rng.getrandbits(14),
        tile_params=rng.getrandbits(14),
        **chosen,
    )


async def prepare(dut) -> None:
    dut.start.value = dut.layer.value = dut.sums__valid.value = dut.sums__payload.value = 0
    await start(dut)


async def begin(dut, layer: EventLayer) -> None:
    """Start a layer; returns when the first beat may come."""
    dut.layer.value, dut.start.value = layer.descriptor(), 1
    await RisingEdge(dut.clk)
    dut.start.value = 0
    for _ in range(START_CYCLES - 1):
        await RisingEdge(dut.clk)


async def run(dut, layer: EventLayer, rng: random.Random, *, gaps: tuple[int, ...] = (0,)) -> None:
    """Run one layer to its end and compare every cycle."""
    sums = random_sums(rng, layer)
    probe = Probe(dut, PORTS)
    await begin(dut, layer)
    cocotb.start_soon(feed(dut, layer, sums, rng, gaps))
    while not (probe.cycles and probe.cycles[-1].done):
        await RisingEdge(dut.clk)
    probe.stop()
    leaving, released = expect(layer, sums, probe.when("sums__valid"))
    seen = {number: cycle.currents__payload for number, cycle in enumerate(probe.cycles) if cycle.currents__valid}
    assert seen == leaving, layer
    assert probe.when("done") == [max(leaving)]
    # A group has left the lanes when the fold takes its last beat.
    assert [cycle + RELEASED for cycle in probe.when("release")] == released


RELEASED = 5
"""Cycles from the release of a group to the current of its last position."""


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def random_layers(dut):
    """Layers of all kinds one right after the other, with and without gaps between the positions."""
    await prepare(dut)
    rng = generator("layers")
    for gaps in ((0,), (0, 1, 7)):
        for chosen in LAYERS * 4:
            await run(dut, random_layer(rng, chosen), rng, gaps=gaps)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def single_beats(dut):
    """One position of one beat, for every kind."""
    await prepare(dut)
    rng = generator("single")
    for chosen in LAYERS:
        sizes = {"height": chosen.get("side", 1), "width": chosen.get("side", 1), "channels": P, "outputs": 1}
        await run(dut, EventLayer(config=CONFIG, **sizes, **chosen), rng)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def reset_in_flight(dut):
    """After a reset in the middle of a layer nothing leaves, and the next layer is whole."""
    await prepare(dut)
    rng = generator("reset")
    for age in range(1, 40):
        layer = random_layer(rng, rng.choice(LAYERS))
        await begin(dut, layer)
        lanes = cocotb.start_soon(feed(dut, layer, random_sums(rng, layer), rng, (0,)))
        for _ in range(age):
            await RisingEdge(dut.clk)
        lanes.cancel()
        dut.sums__valid.value = 0
        await reset(dut, 1)
        probe = Probe(dut, PORTS)
        for _ in range(3 * CONFIG.group_beats + LATENCY):
            await RisingEdge(dut.clk)
        probe.stop()
        assert not any(probe.when(name) for name in ("currents__valid", "release", "done"))
        await run(dut, random_layer(rng, rng.choice(LAYERS)), rng)
