"""Attention unit: masks against the integer model's; hits, busy and latency in every cycle."""

from collections.abc import Iterable
from itertools import chain

import cocotb
import torch
from cocotb.triggers import ReadOnly, RisingEdge

from golden.config import ModelConfig, Reset
from golden.integer import MASK_SHIFT, attention_mask, lif, lif_step
from hw.attention import COUNT_BITS
from hw.beats import key_layout, spikes_layout, write_layout
from hw.config import HardwareConfig
from sim.benches.probe import Probe
from sim.streams import StreamSource, generator, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
P, T = CONFIG.beat_channels, CONFIG.timesteps
KEY, WRITE = key_layout(CONFIG), write_layout(spikes_layout(CONFIG))
HITS_LATENCY = 2
LATENCY = 3 + 2 * T - 1
PORTS = ("key__valid", "key__payload", "hits", "busy", "trace__valid", "trace__payload")


def expected(qa: torch.Tensor, ka: torch.Tensor, threshold: int) -> torch.Tensor:
    """The integer model's mask [T, 1, D] for queries and keys [T, 1, D, n] and a threshold below 256 hits."""
    config = ModelConfig(name="bench", timesteps=T, attention_threshold=threshold / 16)
    return attention_mask(config, qa[..., None], ka[..., None])


def beats(spikes: torch.Tensor) -> list[list[list[int]]]:
    """Spikes [T, 1, D, n] as ``[window][channel beat][channel in the beat]``, each the pattern of its timesteps."""
    patterns = sum(step.to(int) << t for t, step in enumerate(spikes))[0]  # [D, n]
    return patterns.reshape(-1, P, spikes.shape[3]).permute(2, 0, 1).tolist()


def queries(spikes: torch.Tensor, base: int = 0) -> list[int]:
    """Writes of all queries; a window's beats are adjacent."""
    flat = [beat for window in beats(spikes) for beat in window]
    return [WRITE.const({"address": base + i, "data": beat}).as_value().value for i, beat in enumerate(flat)]


def keys(spikes: torch.Tensor, group: int, base: int = 0) -> list[int]:
    """Keys in the order of the accelerator: groups of channel beats outermost, then windows."""
    windows = beats(spikes)
    channels, last, items = len(windows[0]), len(windows) - 1, []
    for first in range(0, channels, group):
        for window, data in enumerate(windows):
            for channel in range(first, min(first + group, channels)):
                marks = {"first": window == 0, "last": window == last}
                place = {"address": base + window * channels + channel, "channel": channel}
                items.append(KEY.const({"data": data[channel], **place, **marks}).as_value().value)
    return items


def random_spikes(name: str, beats: int, windows: int, density: float) -> torch.Tensor:
    """Spikes [T, 1, D, n]."""
    rng = torch.Generator().manual_seed(generator(name).getrandbits(32))
    return (torch.rand(T, 1, beats * P, windows, generator=rng) < density).to(torch.uint8)


async def cycles(dut, count: int) -> None:
    for _ in range(count):
        await RisingEdge(dut.clk)


async def send(dut, name: str, items: Iterable[int], *, stall: float = 0.0) -> None:
    """Send items through an input stream."""
    source = StreamSource(dut, name, stall=stall)
    source.put(items)
    await source.drained()
    source.stop()


def compare(probe: Probe, memory: dict[int, int], masks: list[torch.Tensor]) -> None:
    """Compare a recording of whole maps with the query memory and the masks [T, 1, D] in the order of their keys.

    The last beat of every map arrives in the order of its channel beats.
    """
    entries = probe.when("key__valid")
    records = [KEY.from_bits(payload) for payload in probe.values("key__payload", when="key__valid")]
    hits = {
        cycle + HITS_LATENCY: (memory[record.address] & record.data.as_value().value).bit_count()
        for cycle, record in zip(entries, records, strict=True)
    }
    assert [cycle.hits for cycle in probe.cycles] == [hits.get(i, 0) for i in range(len(probe.cycles))]

    ends = [(cycle, record.channel) for cycle, record in zip(entries, records, strict=True) if record.last]
    assert probe.when("trace__valid") == [cycle + LATENCY for cycle, _ in ends]
    traced = [WRITE.from_bits(payload) for payload in probe.values("trace__payload", when="trace__valid")]
    assert [write.address for write in traced] == [channel for _, channel in ends]
    expected = [beat for mask in masks for beat in beats(mask[..., None])[0]]
    assert [list(write.data) for write in traced] == expected

    inside = {cycle + delay for cycle in entries for delay in range(1, HITS_LATENCY + 1)}
    inside |= {cycle + delay for cycle, _ in ends for delay in range(1, LATENCY + 1)}
    assert probe.when("busy") == sorted(inside)


async def read_masks(dut, count: int) -> list[list[int]]:
    """Read masks back, one a cycle."""
    found = []
    for channel in range(count + 1):
        dut.mask_address.value = min(channel, count - 1)
        await ReadOnly()
        found.append(list(spikes_layout(CONFIG).from_bits(int(dut.mask_data.value))))
        await RisingEdge(dut.clk)
    return found[1:]


def memory_of(writes: Iterable[int]) -> dict[int, int]:
    """Packed queries by their address."""
    return {write.address: write.data.as_value().value for write in map(WRITE.from_bits, writes)}


async def run(dut, qa, ka, *, threshold: int, mask: torch.Tensor, group: int = 1, stall: float = 0.0) -> None:
    """Run one map, and compare every cycle of it and the mask in memory."""
    writes = queries(qa)
    await send(dut, "query", writes, stall=stall)
    dut.mask_threshold.value = threshold
    probe = Probe(dut, PORTS)
    await send(dut, "key", keys(ka, group), stall=stall)
    await cycles(dut, LATENCY + 2)
    probe.stop()
    compare(probe, memory_of(writes), [mask])
    assert await read_masks(dut, qa.shape[2] // P) == beats(mask[..., None])[0]


async def check(dut, qa: torch.Tensor, ka: torch.Tensor, threshold: int, **choices) -> None:
    """Run one map against the integer model; ``choices`` are those of `run`."""
    await run(dut, qa, ka, threshold=threshold, mask=expected(qa, ka, threshold), **choices)


@cocotb.test()
async def random_maps(dut):
    """One and many windows, one and all channel beats in a group, gaps and none."""
    await start(dut)
    for index, (width, windows) in enumerate([(1, 1), (1, 16), (3, 4), (CONFIG.channel_depth, 9), (5, 64)]):
        for stall, group in ((0.0, 1), (0.0, width), (0.5, width), (0.3, 2)):
            qa = random_spikes(f"qa {index}", width, windows, 0.6)
            ka = random_spikes(f"ka {index}", width, windows, 0.6)
            await check(dut, qa, ka, max(1, windows * 3), group=group, stall=stall)


@cocotb.test()
async def thresholds(dut):
    """The membrane exactly at the threshold, and one beside it; silence, and everything firing."""
    await start(dut)
    qa = random_spikes("qa", 2, 9, 0.7)
    ones, zeros = torch.ones_like(qa), torch.zeros_like(qa)
    count = (qa & ones).sum(dim=3, dtype=torch.int32) << MASK_SHIFT
    v, membranes = torch.zeros_like(count[0]), set()
    for current in count:
        v, _ = lif_step(v, current, 2**17, reset=Reset.HARD)
        membranes |= set(v.flatten().tolist())
    for membrane in sorted(membranes - {0})[:12]:
        for threshold in (membrane - 1, membrane, membrane + 1):
            await check(dut, qa, ones, threshold, group=1)
    for ka in (zeros, ones):
        for threshold in (1, 16 * 256 - 1):
            await check(dut, ones, ka, threshold, group=2)


@cocotb.test()
async def largest_map(dut):
    """A count of ``2**COUNT_BITS - 1`` does not wrap; the same channel beat in every cycle."""
    await start(dut)
    windows = 2**COUNT_BITS - 1
    ones = torch.ones(T, 1, P, windows, dtype=torch.uint8)
    current = torch.full((T, 1, P), windows << MASK_SHIFT, dtype=torch.int32)
    for threshold in (current[0, 0, 0].item() // 2, current[0, 0, 0].item() // 2 + 1):
        mask = lif(current, threshold, reset=Reset.HARD)
        await run(dut, ones, ones, threshold=threshold, mask=mask)


@cocotb.test()
async def back_to_back(dut):
    """The next map's keys follow without a gap, while queries for the map after it are written."""
    await start(dut)
    width, windows, threshold = 3, 4, 24
    dut.mask_threshold.value = threshold
    pairs = [[random_spikes(f"{kind} {i}", width, windows, 0.7) for kind in ("qa", "ka")] for i in range(6)]
    writes = [queries(qa, i * width * windows) for i, (qa, _) in enumerate(pairs)]
    await send(dut, "query", writes[0])
    probe = Probe(dut, PORTS)
    cocotb.start_soon(send(dut, "query", chain(*writes[1:])))
    await send(dut, "key", [key for i, (_, ka) in enumerate(pairs) for key in keys(ka, width, i * width * windows)])
    await cycles(dut, LATENCY + 2)
    probe.stop()
    compare(probe, memory_of(chain(*writes)), [expected(qa, ka, threshold) for qa, ka in pairs])


@cocotb.test()
async def reset_in_flight(dut):
    """A reset drops what is inside; the next map starts its counts from zero."""
    await start(dut)
    ones = torch.ones(T, 1, 2 * P, 4, dtype=torch.uint8)
    await send(dut, "query", queries(ones))
    dut.mask_threshold.value = 1
    for age in range(LATENCY + 1):
        await send(dut, "key", keys(ones, 2))
        await cycles(dut, age)
        await reset(dut, 1)
        probe = Probe(dut, PORTS)
        await cycles(dut, LATENCY + 2)
        probe.stop()
        assert not any(probe.when(name) for name in ("hits", "busy", "trace__valid"))
    await check(dut, random_spikes("qa", 2, 5, 0.5), random_spikes("ka", 2, 5, 0.5), 20, group=2)
