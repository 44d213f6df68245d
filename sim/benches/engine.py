"""The event engine against the integer model's convolutions, pools and window sums."""

import random
from collections import Counter
from dataclasses import dataclass, replace

import cocotb
import numpy as np
import torch
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge

from golden.integer import convolve, max_pool, project, window_sums
from golden.tensors import LayerTensors
from hw.beats import current_layout
from hw.config import WEIGHT_BITS, HardwareConfig
from hw.pack import weight_rows
from hw.program import Fold, Target
from hw.tally import TALLIED, tally_layout
from sim.benches.event_layer import EventLayer
from sim.benches.probe import Probe
from sim.benches.served import serve
from sim.streams import StreamSink, generator, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
P, T = CONFIG.beat_channels, CONFIG.timesteps
OFFSETS = {name: field.offset for name, field in current_layout(CONFIG)}
TALLY = tally_layout(CONFIG)
START_UP = 13
"""Cycles of a layer beside its events and its last drain."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A layer with its input and weights.

    ``pixels`` is uint8 [channels, height, width] for a layer that folds bit-planes; ``spikes`` is uint8
    [timesteps, channels, height, width] for all others. ``weights`` is int8 [outputs, channels, kernel, kernel].
    """

    layer: EventLayer
    weights: np.ndarray
    spikes: np.ndarray | None = None
    pixels: np.ndarray | None = None

    def patterns(self) -> np.ndarray:
        """What lies in spike memory: spikes [planes, height, width, channels, timesteps]."""
        if self.pixels is None:
            return self.spikes.transpose(2, 3, 1, 0)[None]
        planes = [self.pixels >> T * plane & 2**T - 1 for plane in reversed(range(CONFIG.chunks))]
        bits = np.stack(planes)[..., None] >> np.arange(T) & 1
        return bits.transpose(0, 2, 3, 1, 4)

    def positions(self) -> torch.Tensor:
        """Currents of the positions, [timesteps, outputs, height, width]."""
        weight = torch.from_numpy(self.weights)
        tensors = LayerTensors(weight=weight, bias=torch.zeros(len(weight), dtype=torch.int32))
        x = torch.from_numpy(self.spikes if self.pixels is None else self.pixels[None])
        if self.layer.kernel == 3:
            currents = convolve(x, tensors)
        else:
            currents = project(x, replace(tensors, weight=weight[:, :, 0, 0]))
        return currents.expand(T, -1, -1, -1)

    def tiles(self) -> torch.Tensor:
        """Folded currents, [timesteps, outputs, height / side, width / side]."""
        currents = self.positions()
        if self.layer.fold is Fold.MAX:
            return max_pool(currents, self.layer.side)
        return window_sums(currents, self.layer.side)

    def records(self) -> list[int]:
        """The currents that leave, in order, as payloads."""
        layer, beats = self.layer, CONFIG.group_beats
        ends = layer.side**2 * layer.planes
        positions, tiles = (_beats(currents, layer) for currents in (self.positions(), self.tiles()))
        records = []
        for group in range(layer.groups):
            channels = range(group * beats, min((group + 1) * beats, layer.output_beats))
            for number, (y, x, _) in enumerate(layer.walk()):
                tile, place = number // ends, y * layer.width + x
                marks = {"first": tile == 0, "last": (tile + 1) * layer.side**2 == layer.height * layer.width}
                if layer.position:
                    fields = marks | {"target": layer.position}
                    records += [_record(positions, place, c, layer.position_params, fields) for c in channels]
                if layer.tile and number % ends == ends - 1:
                    fields = marks | {"target": layer.tile}
                    records += [_record(tiles, tile, c, layer.tile_params, fields) for c in channels]
        return records

    def counts(self) -> dict[str, int]:
        """What the tally must add up to."""
        patterns, layer = self.patterns(), self.layer
        firing, bits = patterns.any(axis=4).sum(axis=3), patterns.sum(axis=(3, 4))
        windows = [[(plane, row, column) for _, row, column in layer.taps(y, x)] for y, x, plane in layer.walk()]
        events = [sum(int(firing[place]) for place in window) for window in windows]
        spikes = sum(int(bits[place]) for window in windows for place in window)
        return {
            "EVENTS": layer.groups * sum(events),
            "SPIKES": layer.groups * spikes,
            "SOPS": layer.outputs * spikes,
            "WEIGHT_FETCHES": layer.outputs * sum(events),
            "NULLS": layer.groups * events.count(0),
        }


def _beats(currents: torch.Tensor, layer: EventLayer) -> np.ndarray:
    """Currents [timesteps, outputs, height, width] as [positions, beats, channels * timesteps], padded with zeros."""
    padded = np.zeros((currents[0, 0].numel(), layer.output_beats * P, T), np.int64)
    padded[:, : layer.outputs] = currents.flatten(2).permute(2, 1, 0).numpy()
    return padded.reshape(len(padded), layer.output_beats, P * T)


def _record(currents: np.ndarray, place: int, channel: int, params: int, fields: dict) -> int:
    address = place * currents.shape[1] + channel
    fields = fields | {"address": address, "channel": channel, "params": params + channel}
    others = sum(int(value) << OFFSETS[name] for name, value in fields.items())
    return others | pack(currents[place, channel], CONFIG.current_bits) << OFFSETS["currents"]


KINDS = {
    "convolution": {"kernel": 3, "position": Target.SPIKES},
    "projection": {"kernel": 1, "position": Target.STREAM_ADD},
    "pooled": {"kernel": 3, "side": 2, "fold": Fold.MAX, "tile": Target.STREAM_OPEN},
    "query": {"kernel": 1, "side": 3, "fold": Fold.SUM, "tile": Target.QUERY},
    "key": {"kernel": 1, "side": 2, "fold": Fold.SUM, "position": Target.SPIKES, "tile": Target.KEY},
    "pixels": {"kernel": 3, "planes": CONFIG.chunks, "fold": Fold.BITS, "tile": Target.SPIKES},
    "head": {"kernel": 1, "position": Target.LOGITS},
}
"""The layers of a network."""


def make_layer(rng: random.Random, kind: str, **sizes) -> EventLayer:
    """A layer of a kind; sizes that are not given are random, and so are bases."""
    side = KINDS[kind].get("side", 1)
    chosen = {
        "height": side * rng.randint(1, 5 // side + 1),
        "width": side * rng.randint(1, 5 // side + 1),
        "channels": rng.randint(1, 3 * P),
        "outputs": rng.randint(1, 5 * CONFIG.lanes // 2),
        "input_base": rng.randrange(100),
        "weight_base": rng.randrange(100),
        "position_params": rng.randrange(1000),
        "tile_params": rng.randrange(1000),
    }
    return EventLayer(config=CONFIG, **KINDS[kind], **(chosen | sizes))


def make_case(rng: random.Random, layer: EventLayer, *, density: float, weight: int | None = None) -> Case:
    """Random spikes of some density, and random weights or all the same."""
    numbers = np.random.default_rng(rng.getrandbits(32))
    shape = (layer.channels, layer.height, layer.width)
    if layer.fold is Fold.BITS:
        pixels = numbers.integers(0, 256, shape) if 0 < density < 1 else np.full(shape, 255 * density)
        data = {"pixels": (pixels * (numbers.random(shape) < max(density, 0.5))).astype(np.uint8)}
    else:
        data = {"spikes": (numbers.random((T, *shape)) < density).astype(np.uint8)}
    shape = (layer.outputs, layer.channels, layer.kernel, layer.kernel)
    weights = numbers.integers(-127, 128, shape) if weight is None else np.full(shape, weight)
    return Case(layer=layer, weights=weights.astype(np.int8), **data)


def random_case(rng: random.Random, kind: str) -> Case:
    return make_case(rng, make_layer(rng, kind), density=rng.choice((0, 0.02, 0.1, 0.3, 1)))


class Bench:
    """The engine beside its memories; what no layer put there is noise."""

    def __init__(self, dut, rng: random.Random):
        self.dut, self.rng = dut, rng
        self.spikes = [rng.getrandbits(P * T) for _ in range(CONFIG.spike_depth * CONFIG.word_beats)]
        self.weights = [rng.getrandbits(WEIGHT_BITS * CONFIG.lanes) for _ in range(CONFIG.weight_depth)]
        self.sink = StreamSink(dut, "currents")
        serve(dut, "spike_", self._word, noise=generator("noise"))
        serve(dut, "weight_", lambda row: self.weights[row])

    def _word(self, address: int) -> int:
        first = address * CONFIG.word_beats
        return pack(self.spikes[first : first + CONFIG.word_beats], P * T)

    def load(self, case: Case) -> None:
        layer = case.layer
        channels = np.pad(case.patterns(), [(0, 0)] * 3 + [(0, layer.pixel_beats * P - layer.channels), (0, 0)])
        for number, beat in enumerate(channels.reshape(-1, P * T)):
            self.spikes[layer.input_base + number] = pack(beat, 1)
        for number, row in enumerate(weight_rows(case.weights, CONFIG)):
            self.weights[layer.weight_base + number] = pack(row, WEIGHT_BITS)

    async def begin(self, case: Case) -> None:
        """Load and start a layer; returns after the cycle of the start."""
        self.load(case)
        self.dut.layer.value, self.dut.start.value = case.layer.descriptor(), 1
        await RisingEdge(self.dut.clk)
        self.dut.start.value = 0

    async def run(self, case: Case) -> int:
        """Run a layer, compare its currents and counts; return the cycles from start to done."""
        probe = Probe(self.dut, ["tally"])
        await self.begin(case)
        cycles, done = 0, False
        while not done:
            await ReadOnly()
            done = bool(self.dut.done.value)
            await RisingEdge(self.dut.clk)
            cycles += 1
        probe.stop()
        assert self.sink.items == case.records(), case.layer
        self.sink.items.clear()
        totals, expected = _totals(probe), case.counts()
        assert {name: totals[name] for name in expected} == expected, case.layer
        waits = totals["STALLED"] + totals["IDLE"]
        assert len(probe.cycles) == totals["EVENTS"] + totals["NULLS"] + waits == cycles + 1
        return cycles


def _totals(probe: Probe) -> dict[str, int]:
    """What the tally added up to."""
    totals = dict.fromkeys((counter.name for counter in TALLIED), 0)
    for bits, cycles in Counter(cycle.tally for cycle in probe.cycles).items():
        tally = TALLY.from_bits(bits)
        for name in totals:
            totals[name] += cycles * tally[name]
    return totals


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def every_kind_of_layer(dut):
    """Random layers of all kinds, each started in the cycle after the one before is done."""
    await start(dut)
    bench = Bench(dut, generator("layers"))
    for kind in list(KINDS) * 6:
        await bench.run(random_case(bench.rng, kind))
    await ClockCycles(dut.clk, 20)
    assert not bench.sink.items


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def corners(dut):
    """All silent, all firing with the largest weights; maps of one position, row and column; partial groups."""
    await start(dut)
    bench = Bench(dut, generator("corners"))
    for kind in KINDS:
        side = KINDS[kind].get("side", 1)
        for height, width in ((side, side), (side, 3 * side), (3 * side, side)):
            layer = make_layer(bench.rng, kind, height=height, width=width)
            await bench.run(make_case(bench.rng, layer, density=0.3))
        for outputs in (1, CONFIG.lanes - 1, CONFIG.lanes, CONFIG.lanes + 1):
            layer = make_layer(bench.rng, kind, height=2 * side, width=side, outputs=outputs)
            await bench.run(make_case(bench.rng, layer, density=0.3))
        for density, weight in ((0, 127), (1, 127), (1, -127)):
            layer = make_layer(bench.rng, kind, channels=3 * P)
            await bench.run(make_case(bench.rng, layer, density=density, weight=weight))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def accumulators_wrap(dut):
    """A layer whose running sums go many times through the range of an accumulator."""
    await start(dut)
    bench = Bench(dut, generator("wrap"))
    layer = make_layer(bench.rng, "convolution", height=12, width=12, channels=2 * P, outputs=CONFIG.lanes)
    case = make_case(bench.rng, layer, density=1, weight=127)
    assert case.positions()[0, 0].sum() > 2**CONFIG.acc_bits
    await bench.run(case)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def timing(dut):
    """A dense layer takes its events, a fixed start-up and one drain; a sparse one hardly more; always the same."""
    await start(dut)
    bench = Bench(dut, generator("timing"))
    for kind in KINDS:
        side = KINDS[kind].get("side", 1)
        sizes = {"height": 2 * side, "width": 2 * side, "channels": 3 * P * CONFIG.group_beats}
        for outputs in (CONFIG.lanes, CONFIG.lanes - P):
            case = make_case(bench.rng, make_layer(bench.rng, kind, outputs=outputs, **sizes), density=1)
            drains = 2 if case.layer.tile else 1
            assert await bench.run(case) == case.counts()["EVENTS"] + drains * case.layer.output_beats + START_UP
    layer = make_layer(bench.rng, "convolution", height=6, width=6, channels=16, outputs=2 * CONFIG.lanes)
    case = make_case(bench.rng, layer, density=0.12)
    cycles = await bench.run(case)
    assert cycles <= 1.02 * case.counts()["EVENTS"] + layer.output_beats + START_UP
    for kind in KINDS:
        case = random_case(bench.rng, kind)
        counts = {await bench.run(case), await bench.run(case)}
        await reset(dut, 1)
        assert len(counts | {await bench.run(case)}) == 1


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """A reset anywhere in a layer forgets it; the next one is right."""
    await start(dut)
    bench = Bench(dut, generator("reset"))
    for kind in list(KINDS) * 3:
        await bench.begin(random_case(bench.rng, kind))
        await ClockCycles(dut.clk, bench.rng.randrange(1, 80))
        await reset(dut, 1)
        bench.sink.items.clear()
        await bench.run(random_case(bench.rng, kind))
