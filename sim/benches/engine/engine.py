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
from hw.compile.pack import weight_rows
from hw.config import HardwareConfig
from hw.engine.drain import RECALL_GAP
from hw.engine.tally import TALLIED, TALLY_CYCLES, tally_layout
from hw.program import Fold, Target
from sim.benches.event_layer import EventLayer
from sim.benches.probe import Probe
from sim.benches.served import serve, toggle
from sim.benches.weight_feed import WeightFeed
from sim.streams import StreamSink, generator, pack, parameters, reset, start

PARAMETERS = parameters()
SPACING = PARAMETERS.pop("state_spacing")
CONFIG = HardwareConfig(**PARAMETERS)
P, T = CONFIG.beat_channels, CONFIG.timesteps
TALLY = tally_layout(CONFIG)
START_UP = 30
"""Cycles of a layer beside its events and its last drain."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A layer with its input and weights.

    ``inputs`` is uint8 [1, channels, height, width] for a layer that folds the bits of pixels, and
    [timesteps, channels, height, width] for all others: counts where the layer folds them, else spikes. ``weights`` is
    int8 [outputs, channels, kernel, kernel].
    """

    layer: EventLayer
    weights: np.ndarray
    inputs: np.ndarray

    def patterns(self) -> np.ndarray:
        """What lies in spike memory: spikes [planes, passes, height, width, channels, timesteps]."""
        planes = reversed(range(self.layer.planes))
        if self.layer.fold is Fold.BITS:
            chunks = np.stack([self.inputs >> T * plane & 2**T - 1 for plane in planes])
            return (chunks[..., None] >> np.arange(T) & 1).transpose(0, 1, 3, 4, 2, 5)
        bits = np.stack([self.inputs >> plane & 1 for plane in planes])
        return bits.reshape(len(bits), -1, T, *bits.shape[2:]).transpose(0, 1, 4, 5, 3, 2)

    def positions(self) -> torch.Tensor:
        """Currents of the positions, [passes * timesteps, outputs, height, width]."""
        weight = torch.from_numpy(self.weights)
        tensors = LayerTensors(weight=weight, bias=torch.zeros(len(weight), dtype=torch.int32))
        x = torch.from_numpy(self.inputs)
        if self.layer.kernel == 3:
            currents = convolve(x, tensors)
        else:
            currents = project(x, replace(tensors, weight=weight[:, :, 0, 0]))
        return currents.expand(self.layer.passes * T, -1, -1, -1)

    def tiles(self) -> torch.Tensor:
        """Folded currents, [passes * timesteps, outputs, height / side, width / side]."""
        currents = self.positions()
        if self.layer.fold is Fold.MAX:
            return max_pool(currents, self.layer.side)
        return window_sums(currents, self.layer.side)

    def records(self) -> list[int]:
        """The currents that leave, in order, as payloads."""
        return self.layer.records(self.positions(), self.tiles())

    def lengths(self) -> list[int]:
        """Events of every position of a group, in order."""
        firing = self.patterns().any(axis=5).sum(axis=4)
        return [sum(int(firing[place]) for place in window) for window in self._windows()]

    def counts(self) -> dict[str, int]:
        """What the tally must add up to."""
        layer, lengths = self.layer, self.lengths()
        bits = self.patterns().sum(axis=(4, 5))
        spikes = sum(int(bits[place]) for window in self._windows() for place in window)
        return {
            "EVENTS": layer.groups * sum(lengths),
            "SPIKES": layer.groups * spikes,
            "SOPS": layer.outputs * spikes,
            "WEIGHT_FETCHES": layer.outputs * sum(lengths),
            "NULLS": layer.groups * lengths.count(0),
        }

    def _windows(self) -> list[list[tuple[int, int, int, int]]]:
        """Plane, pass, row and column of the inputs of every position."""
        layer = self.layer
        return [
            [(plane, 0 if layer.shared else turn, row, column) for _, row, column in layer.taps(y, x)]
            for turn, y, x, plane in layer.walk()
        ]


KINDS = {
    "convolution": {"kernel": 3, "position": Target.SPIKES},
    "projection": {"kernel": 1, "position": Target.STREAM_ADD},
    "counted": {"kernel": 1, "side": 2, "position": Target.STREAM_ADD, "counted": True},
    "pooled": {"kernel": 3, "side": 2, "fold": Fold.MAX, "tile": Target.STREAM_OPEN},
    "query": {"kernel": 1, "side": 3, "fold": Fold.SUM, "tile": Target.QUERY},
    "counts": {"kernel": 1, "planes": 3, "fold": Fold.COUNTS, "tile": Target.QUERY},
    "key": {"kernel": 1, "side": 2, "fold": Fold.SUM, "position": Target.SPIKES, "tile": Target.KEY},
    "pixels": {"kernel": 3, "planes": CONFIG.chunks, "shared": True, "fold": Fold.BITS, "tile": Target.SPIKES},
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
        "passes": rng.randint(1, CONFIG.passes),
        "input_base": rng.randrange(100),
        "position_params": rng.randrange(1000),
        "tile_params": rng.randrange(1000),
        "spacing": SPACING,
    }
    return EventLayer(config=CONFIG, **KINDS[kind], **(chosen | sizes))


def make_case(rng: random.Random, layer: EventLayer, *, density: float, weight: int | None = None) -> Case:
    """Random inputs of some density, and random weights or all the same."""
    numbers = np.random.default_rng(rng.getrandbits(32))
    pixels = layer.fold is Fold.BITS
    shape = (1 if pixels else layer.passes * T, layer.channels, layer.height, layer.width)
    top = 255 if pixels else 2**layer.planes - 1
    values = np.full(shape, top) if density == 1 else numbers.integers(1, top + 1, shape)
    inputs = np.where(numbers.random(shape) < density, values, 0).astype(np.uint8)
    shape = (layer.outputs, layer.channels, layer.kernel, layer.kernel)
    weights = numbers.integers(-127, 128, shape) if weight is None else np.full(shape, weight)
    return Case(layer=layer, weights=weights.astype(np.int8), inputs=inputs)


def random_case(rng: random.Random, kind: str) -> Case:
    return make_case(rng, make_layer(rng, kind), density=rng.choice((0, 0.02, 0.1, 0.3, 1)))


class Bench:
    """The engine beside its memories; what no layer put there is noise."""

    def __init__(self, dut, rng: random.Random):
        self.dut, self.rng = dut, rng
        self.spikes = [rng.getrandbits(P * T) for _ in range(CONFIG.spike_depth * CONFIG.word_beats)]
        self.sink = StreamSink(dut, "currents")
        self.feed = WeightFeed(dut, CONFIG, generator("feed"))
        self.held = 0.0
        # At random, positions are held back, and others use the spike memory.
        for port in ("hold", "spike_blocked"):
            toggle(dut, port, lambda: self.held, rng=generator(port))
        serve(dut, "spike_", self._word, noise=generator("noise"))

    def _word(self, address: int) -> int:
        first = address * CONFIG.word_beats
        return pack(self.spikes[first : first + CONFIG.word_beats], P * T)

    def load(self, case: Case) -> EventLayer:
        """Put the input into spike memory and the weights behind all others; return the layer with their place."""
        layer = case.layer
        channels = np.pad(case.patterns(), [(0, 0)] * 4 + [(0, layer.pixel_beats * P - layer.channels), (0, 0)])
        for number, beat in enumerate(channels.reshape(-1, P * T)):
            self.spikes[layer.input_base + number] = pack(beat, 1)
        self.feed.group_rows = layer.group_rows
        return replace(layer, weight_base=self.feed.put(weight_rows(case.weights, CONFIG).tolist()))

    async def begin(self, case: Case, *, filled: bool = False) -> None:
        """Load and start a layer, once its weights are there or at once; returns after the cycle of the start."""
        layer = self.load(case)
        if filled:
            await self.feed.filled()
        self.dut.layer.value, self.dut.start.value = layer.descriptor(), 1
        await RisingEdge(self.dut.clk)
        self.dut.start.value = 0

    async def run(self, case: Case, *, filled: bool = False) -> int:
        """Run a layer, compare its currents and counts; return the cycles from start to done."""
        await self.begin(case, filled=filled)
        probe = Probe(self.dut, ["tally", "begun", "release", "waiting"])
        cycles, done = 1, False
        while not done:
            await ReadOnly()
            done = bool(self.dut.done.value)
            await RisingEdge(self.dut.clk)
            cycles += not done
        self.dut.layer.value = self.rng.getrandbits(len(self.dut.layer))
        # What happens in the cycles from the start to the end is counted a little later.
        await ClockCycles(self.dut.clk, TALLY_CYCLES)
        probe.stop()
        assert self.sink.items == case.records(), case.layer
        self.sink.items.clear()
        totals, expected = _totals(probe.cycles[TALLY_CYCLES:]), case.counts()
        assert {name: totals[name] for name in expected} == expected, case.layer
        waits = totals["STALLED"] + totals["IDLE"]
        assert totals["EVENTS"] + totals["NULLS"] + waits == len(probe.cycles) - TALLY_CYCLES
        assert len(probe.when("begun")) == len(list(case.layer.walk()))
        assert len(probe.when("release")) == case.layer.groups
        assert not filled or not probe.when("waiting")
        return cycles

    async def restart(self) -> None:
        """Reset the engine and begin an inference."""
        await reset(self.dut, 1)
        self.feed.restart()
        self.sink.items.clear()


def _totals(cycles: list) -> dict[str, int]:
    """What the tally added up to."""
    totals = dict.fromkeys((counter.name for counter in TALLIED), 0)
    for bits, count in Counter(cycle.tally for cycle in cycles).items():
        tally = TALLY.from_bits(bits)
        for name in totals:
            totals[name] += count * tally[name]
    return totals


@cocotb.test(timeout_time=8, timeout_unit="ms")
async def every_kind_of_layer(dut):
    """Random layers of all kinds, each started in the cycle after the one before is done."""
    await start(dut)
    bench = Bench(dut, generator("layers"))
    for kind in list(KINDS) * 6:
        await bench.run(random_case(bench.rng, kind))
    await ClockCycles(dut.clk, 20)
    assert not bench.sink.items


@cocotb.test(timeout_time=8, timeout_unit="ms")
async def late_weights_and_holds(dut):
    """Weights that arrive slowly, in bursts and while the engine runs; positions held back at random."""
    await start(dut)
    bench = Bench(dut, generator("late"))
    for stall, held in ((0.5, 0), (0.9, 0.5), (0, 0.9)):
        bench.feed.stall, bench.held = stall, held
        for kind in KINDS:
            await bench.run(random_case(bench.rng, kind))


@cocotb.test(timeout_time=8, timeout_unit="ms")
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


@cocotb.test(timeout_time=8, timeout_unit="ms")
async def accumulators_wrap(dut):
    """A layer whose running sums go many times through the range of an accumulator."""
    await start(dut)
    bench = Bench(dut, generator("wrap"))
    layer = make_layer(bench.rng, "convolution", height=12, width=12, channels=2 * P, outputs=CONFIG.lanes, passes=1)
    case = make_case(bench.rng, layer, density=1, weight=127)
    assert case.positions()[0, 0].sum() > 2**CONFIG.acc_bits
    await bench.run(case)


@cocotb.test(timeout_time=8, timeout_unit="ms")
async def timing(dut):
    """A dense layer takes its events, a fixed start-up and one drain; a silent one an interval a position."""
    await start(dut)
    bench = Bench(dut, generator("timing"))
    for kind in KINDS:
        side = KINDS[kind].get("side", 1)
        sizes = {"height": 2 * side, "width": 2 * side, "passes": 1}
        for outputs in (CONFIG.lanes, CONFIG.lanes - P):
            layer = make_layer(bench.rng, kind, outputs=outputs, channels=3 * P * CONFIG.group_beats, **sizes)
            drain = 2 * layer.output_beats + RECALL_GAP if layer.position and layer.tile else layer.output_beats
            window = int(layer.kernel == 3)
            case = make_case(bench.rng, layer, density=1)
            assert await bench.run(case, filled=True) == case.counts()["EVENTS"] + drain + window + START_UP, layer
            if not window:
                case = make_case(bench.rng, replace(layer, channels=P), density=0)
                waits = sum(case.layer.waits()[:-1])
                assert await bench.run(case, filled=True) == waits + 1 + drain + START_UP, layer


@cocotb.test(timeout_time=8, timeout_unit="ms")
async def sparse_layers(dut):
    """A sparse layer takes hardly more cycles than its events; always the same."""
    await start(dut)
    bench = Bench(dut, generator("sparse"))
    layer = make_layer(bench.rng, "convolution", height=6, width=6, channels=16, outputs=2 * CONFIG.lanes, passes=1)
    case = make_case(bench.rng, layer, density=0.12)
    cycles = await bench.run(case, filled=True)
    # Words of one beat hold hardly more than one event each, and the emitter waits for some of them.
    most = 1.02 if CONFIG.word_beats > 1 else 1.1
    assert cycles <= most * case.counts()["EVENTS"] + layer.output_beats + START_UP
    for kind in KINDS:
        case = random_case(bench.rng, kind)
        counts = {await bench.run(case, filled=True), await bench.run(case, filled=True)}
        await bench.restart()
        assert len(counts | {await bench.run(case, filled=True)}) == 1


@cocotb.test(timeout_time=8, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """A reset anywhere in a layer forgets it; the next one is right."""
    await start(dut)
    bench = Bench(dut, generator("reset"))
    for kind in list(KINDS) * 3:
        await bench.begin(random_case(bench.rng, kind))
        await ClockCycles(dut.clk, bench.rng.randrange(1, 120))
        await bench.restart()
        await bench.run(random_case(bench.rng, kind))
