"""The head's pooling against sums of the residual stream, cycle by cycle."""

import random
from dataclasses import dataclass

import cocotb
import torch
from cocotb.triggers import ReadOnly, RisingEdge

from hw.beats import current_layout
from hw.config import STREAM_BITS, HardwareConfig
from hw.program import DESCRIPTOR_LAYOUT, Target
from sim.benches.neurons.pipeline import Recorder, serve_memory
from sim.streams import generator, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
P, T, C = CONFIG.beat_channels, CONFIG.timesteps, CONFIG.current_bits
STREAM_LIMIT = 2 ** (STREAM_BITS - 1)
LATENCY = 3


def random_stream(rng: random.Random, count: int) -> torch.Tensor:
    """A residual stream, int32 [count, P, T], with many values at its limits."""
    values = [rng.choice((rng.randint(-300, 300), -STREAM_LIMIT, STREAM_LIMIT - 1)) for _ in range(count * P * T)]
    return torch.tensor(values, dtype=torch.int32).reshape(count, P, T)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer over a stream of random values; ``gap`` beats are between two passes."""

    tokens: int
    channel_beats: int
    passes: int = 1
    params: int = 0
    gap: int = 0

    @property
    def plane(self) -> int:
        """Beats of one pass."""
        return self.tokens * self.channel_beats

    def descriptor(self) -> int:
        """What the unit sees of it."""
        fields = {"tokens": self.tokens, "output_beats": self.channel_beats, "position_params": self.params}
        fields |= {"last_pass": self.passes - 1, "stream_pass": self.plane + self.gap}
        return DESCRIPTOR_LAYOUT.const(fields).as_value().value

    def words(self, values: torch.Tensor) -> dict[int, int]:
        """The stream [passes * plane, P, T] in memory, by address."""
        addresses = [run * (self.plane + self.gap) + beat for run in range(self.passes) for beat in range(self.plane)]
        beats = [pack(beat.flatten().tolist(), STREAM_BITS) for beat in values]
        return dict(zip(addresses, beats, strict=True))

    def records(self, values: torch.Tensor) -> list[int]:
        """What leaves for a stream [passes * plane, P, T], in order."""
        sums = values.reshape(self.passes, self.tokens, self.channel_beats, P, T).sum(dim=1)
        records = []
        for address, total in enumerate(sums.flatten(0, 1)):
            run, beat = divmod(address, self.channel_beats)
            marks = {"target": Target.SPIKES, "params": self.params + beat, "address": address}
            marks |= {"channel": beat, "state": beat, "pass_number": run}
            route = current_layout(CONFIG).const(marks).as_value().value
            records.append(route | pack(total.flatten().tolist(), C))
        return records


def serve(dut, words: dict[int, int]):
    """Be the stream memory, and return its task; beyond the map there is something else than zero."""
    noise = 2 ** (P * T * STREAM_BITS) - 1
    return cocotb.start_soon(serve_memory(dut, "stream", lambda address: words.get(address, noise)))


async def begin(dut, layer: Layer):
    """Set the layer up and start it; returns at the edge that takes the start."""
    dut.layer.value, dut.hold.value = layer.descriptor(), 0
    dut.start.value = 1
    await RisingEdge(dut.clk)
    dut.start.value = 0


async def check(dut, layer: Layer, values: torch.Tensor, *, held: int = 0):
    """Run one layer on a stream, and compare all that leaves, in every cycle.

    The neurons are ``held`` cycles busy, counted from the one behind the last sum of a pass.
    """
    memory = serve(dut, layer.words(values))
    await begin(dut, layer)
    beat = layer.tokens + 1
    run = layer.channel_beats * beat  # cycles in which a pass reads or closes a channel beat
    distance = run + LATENCY + held  # from pass to pass
    length = (layer.passes - 1) * distance + run + LATENCY - 1
    recorder = Recorder(dut, ["o"])
    for cycle in range(length):
        number, inside = divmod(cycle, distance)
        # A start while busy changes nothing, nor does a hold that nothing waits for.
        dut.start.value = cycle == length // 2
        dut.hold.value = inside < run or run + 2 <= inside < run + 2 + held
        await ReadOnly()
        recorder.observe()
        assert dut.busy.value == 1, f"busy in cycle {cycle}"
        reads = inside < run and inside % beat != layer.tokens
        assert dut.stream_read.value == reads, f"stream_read in cycle {cycle} of {length}, pass {number}"
        await RisingEdge(dut.clk)
    dut.start.value = 0
    for _ in range(3):
        await ReadOnly()
        assert not dut.busy.value
        assert not dut.o__valid.value
        await RisingEdge(dut.clk)
    memory.cancel()
    beats = [(number, channel) for number in range(layer.passes) for channel in range(layer.channel_beats)]
    cycles = [number * distance + (channel + 1) * beat - 2 + LATENCY for number, channel in beats]
    assert recorder.items["o"] == dict(zip(cycles, layer.records(values), strict=True))


def random_layer(rng: random.Random, tokens: int, channel_beats: int) -> Layer:
    """A layer of a size with random settings."""
    passes, gap = rng.randint(1, CONFIG.passes), rng.randrange(3)
    return Layer(tokens=tokens, channel_beats=channel_beats, passes=passes, gap=gap, params=rng.randrange(2**15))


@cocotb.test()
async def sums_of_random_streams(dut):
    """Grids and channels of many sizes, one layer after the other."""
    await start(dut)
    rng = generator("streams")
    shapes = [(1, 1), (1, 5), (2, 1), (64, 8), (37, 3), (256, 4)]
    shapes += [(rng.randint(1, 40), rng.randint(1, 12)) for _ in range(20)]
    for shape in shapes:
        layer = random_layer(rng, *shape)
        await check(dut, layer, random_stream(rng, layer.passes * layer.plane), held=rng.choice((0, 0, 1, 9)))


@cocotb.test()
async def largest_sums(dut):
    """The most negative and the most positive sum that a current holds."""
    await start(dut)
    layer = Layer(tokens=2 ** (C - STREAM_BITS), channel_beats=1)
    for value in (-STREAM_LIMIT, STREAM_LIMIT - 1):
        await check(dut, layer, torch.full((layer.tokens, P, T), value, dtype=torch.int32))


@cocotb.test()
async def reset_in_flight(dut):
    """A reset ends the layer at once; the next one is whole."""
    await start(dut)
    rng = generator("reset")
    layer = Layer(tokens=3, channel_beats=2, passes=CONFIG.passes, params=7)
    for age in range(1, 20):
        values = random_stream(rng, layer.passes * layer.plane)
        memory = serve(dut, layer.words(values))
        await begin(dut, layer)
        for _ in range(age - 1):
            await RisingEdge(dut.clk)
        await reset(dut, 1)
        for _ in range(LATENCY + 1):
            await ReadOnly()
            assert not dut.busy.value
            assert not dut.o__valid.value
            await RisingEdge(dut.clk)
        memory.cancel()
        await check(dut, layer, values)
