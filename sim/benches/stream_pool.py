"""The head's pooling against sums of the residual stream, cycle by cycle."""

import random

import cocotb
import torch
from cocotb.triggers import ReadOnly, RisingEdge

from hw.config import STREAM_BITS, HardwareConfig
from hw.program import Target
from sim.benches.pipeline import Recorder, serve_memory
from sim.streams import generator, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
P, T, C = CONFIG.beat_channels, CONFIG.timesteps, CONFIG.current_bits
STREAM_LIMIT = 2 ** (STREAM_BITS - 1)
LATENCY = 3


def random_stream(rng: random.Random, count: int) -> torch.Tensor:
    """A residual stream, int32 [count, P, T], with many values at its limits."""
    values = [rng.choice((rng.randint(-300, 300), -STREAM_LIMIT, STREAM_LIMIT - 1)) for _ in range(count * P * T)]
    return torch.tensor(values, dtype=torch.int32).reshape(count, P, T)


def serve(dut, values: torch.Tensor):
    """Be the stream memory, and return its task; beyond the map there is something else than zero."""
    words = [pack(beat.flatten().tolist(), STREAM_BITS) for beat in values]
    noise = 2 ** (P * T * STREAM_BITS) - 1
    return cocotb.start_soon(
        serve_memory(dut, "stream", lambda address: words[address] if address < len(words) else noise)
    )


def expect(values: torch.Tensor, tokens: int, channel_beats: int, params: int) -> dict[int, int]:
    """Payloads by the cycle in which they leave, counted from the one after the start."""
    sums = values.reshape(tokens, channel_beats, P, T).sum(dim=0)  # [channel_beats, P, T]
    width = P * T * C
    payloads = {}
    for beat, total in enumerate(sums):
        marks = Target.SPIKES | (params + beat) << 3 | beat << 19 | beat << 43
        payloads[(beat + 1) * tokens - 1 + LATENCY] = pack(total.flatten().tolist(), C) | marks << width
    return payloads


async def begin(dut, tokens: int, channel_beats: int, params: int):
    """Set the layer up and start it; returns at the edge that takes the start."""
    dut.tokens.value, dut.channel_beats.value, dut.params.value = tokens, channel_beats, params
    dut.start.value = 1
    await RisingEdge(dut.clk)
    dut.start.value = 0


async def check(dut, values: torch.Tensor, tokens: int, channel_beats: int, params: int):
    """Run one layer on a stream [tokens * channel_beats, P, T], and compare all that leaves, in every cycle."""
    memory = serve(dut, values)
    await begin(dut, tokens, channel_beats, params)
    reads = tokens * channel_beats
    recorder = Recorder(dut, ["o"])
    for cycle in range(reads + LATENCY):
        # A start while busy changes nothing.
        dut.start.value = cycle == reads // 2
        await ReadOnly()
        recorder.observe()
        assert dut.busy.value == 1, f"busy in cycle {cycle}"
        assert dut.stream_read.value == (cycle < reads), f"stream_read in cycle {cycle}"
        await RisingEdge(dut.clk)
    dut.start.value = 0
    await ReadOnly()
    assert not dut.busy.value
    assert not dut.o__valid.value
    await RisingEdge(dut.clk)
    memory.cancel()
    assert recorder.items["o"] == expect(values, tokens, channel_beats, params)


@cocotb.test()
async def sums_of_random_streams(dut):
    """Grids and channels of many sizes, one layer after the other."""
    await start(dut)
    rng = generator("streams")
    shapes = [(1, 1), (1, 5), (2, 1), (64, 8), (37, 3), (256, 4)]
    shapes += [(rng.randint(1, 40), rng.randint(1, 12)) for _ in range(20)]
    for tokens, channel_beats in shapes:
        values = random_stream(rng, tokens * channel_beats)
        await check(dut, values, tokens, channel_beats, rng.randrange(2**15))


@cocotb.test()
async def largest_sums(dut):
    """The most negative and the most positive sum that a current holds."""
    await start(dut)
    tokens = 2 ** (C - STREAM_BITS)
    for value in (-STREAM_LIMIT, STREAM_LIMIT - 1):
        await check(dut, torch.full((tokens, P, T), value, dtype=torch.int32), tokens, 1, 0)


@cocotb.test()
async def reset_in_flight(dut):
    """A reset ends the layer at once; the next one is whole."""
    await start(dut)
    rng = generator("reset")
    for age in range(1, 12):
        values = random_stream(rng, 6)
        memory = serve(dut, values)
        await begin(dut, 3, 2, 7)
        for _ in range(age - 1):
            await RisingEdge(dut.clk)
        await reset(dut, 1)
        for _ in range(LATENCY + 1):
            await ReadOnly()
            assert not dut.busy.value
            assert not dut.o__valid.value
            await RisingEdge(dut.clk)
        memory.cancel()
        await check(dut, values, 3, 2, 7)
