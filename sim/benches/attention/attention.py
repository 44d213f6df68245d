"""Attention unit: masks against the integer model's; hits, busy and latency in every cycle."""

from collections.abc import Sequence
from dataclasses import dataclass

import cocotb
import torch
from amaranth.utils import ceil_log2
from cocotb.triggers import ReadOnly, RisingEdge

from golden.attention.core import UNIT_BITS
from golden.config import ModelConfig, Reset
from golden.integer import attention_mask
from golden.neurons.exact import lif, lif_step
from hw.attention.attention import COUNT_BITS
from hw.beats import routed_layout, spikes_layout, write_layout
from hw.config import HardwareConfig
from sim.benches.probe import Probe
from sim.streams import generator, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
P, T, GROUP = CONFIG.beat_channels, CONFIG.timesteps, CONFIG.group_beats
ROUTED, WRITE = routed_layout(CONFIG), write_layout(CONFIG, spikes_layout(CONFIG))
HITS_LATENCY = 2
BEAT = 2 * P * T + 3
LATENCY = HITS_LATENCY + BEAT
PITCH = 1 << ceil_log2(CONFIG.channel_depth)
TILE = 4
"""Least distance of two tiles, or passes of one, in cycles."""
PORTS = ("key__valid", "key__payload", "hits", "busy", "complete", "trace__valid", "trace__payload")


@dataclass(frozen=True, kw_only=True)
class Case:
    """Queries and keys [passes * T, 1, D, n] of a map, the mask [passes * T, 1, D] of its attention, and where the
    queries begin in memory."""

    qa: torch.Tensor
    ka: torch.Tensor
    mask: torch.Tensor
    base: int = 0

    @property
    def passes(self) -> int:
        """Passes of the model."""
        return len(self.qa) // T

    def records(self, spikes: torch.Tensor) -> dict[tuple[int, int, int], int]:
        """Spikes as beats of the neuron path, in the order of the accelerator, by window, pass and channel beat."""
        groups = range(0, self.qa.shape[2] // P, GROUP)
        items = {}
        for group in groups:
            for window in range(self.qa.shape[3]):
                for number in range(self.passes):
                    for beat, channel in enumerate(range(self.qa.shape[2] // P)[group : group + GROUP]):
                        items[window, number, channel] = self._record(spikes, window, number, channel, beat)
        return items

    def _record(self, spikes: torch.Tensor, window: int, number: int, channel: int, beat: int) -> int:
        windows, channels = self.qa.shape[3], self.qa.shape[2] // P
        marks = {"first": window == 0, "last": window == windows - 1, "open": 0, "close": 1, "tile": 0, "state": 0}
        place = {"address": self.base + (number * windows + window) * channels + channel, "channel": channel}
        place |= {"pass_number": number, "beat": beat, "data": patterns(spikes[..., window], number, channel)}
        return ROUTED.const(place | marks).as_value().value


def patterns(spikes: torch.Tensor, number: int, channel: int) -> list[int]:
    """Spikes [passes * T, 1, D] of one pass and channel beat, a pattern for each channel."""
    beat = spikes[number * T : (number + 1) * T, 0, channel * P : (channel + 1) * P]
    return sum(step.to(int) << t for t, step in enumerate(beat)).tolist()


def expected(qa: torch.Tensor, ka: torch.Tensor, threshold: int) -> torch.Tensor:
    """The integer model's mask for a threshold below 256 hits."""
    config = ModelConfig(name="bench", timesteps=len(qa), attention_threshold=threshold / 16)
    return attention_mask(config, qa[..., None], ka[..., None])


def random_spikes(name: str, beats: int, windows: int, density: float, passes: int = CONFIG.passes) -> torch.Tensor:
    """Spikes [passes * T, 1, D, n]."""
    rng = torch.Generator().manual_seed(generator(name).getrandbits(32))
    return (torch.rand(passes * T, 1, beats * P, windows, generator=rng) < density).to(torch.uint8)


def spaced(keys: dict[tuple[int, int, int], int], stall: float) -> list[int | None]:
    """A schedule of keys: those of a window, pass and group in consecutive cycles, the next ones ``TILE`` cycles after
    their beginning or later."""
    rng = generator("stalls")
    schedule, begun = [], 0
    for key in keys.values():
        if ROUTED.from_bits(key).beat == 0:
            while len(schedule) < begun + TILE or rng.random() < stall:
                schedule.append(None)
            begun = len(schedule)
        schedule.append(key)
    return schedule


async def play(dut, name: str, schedule: Sequence[int | None]):
    """Offer ``schedule[k]`` on an input stream in cycle k, and noise where there is None."""
    rng = generator(name)
    valid, payload = getattr(dut, f"{name}__valid"), getattr(dut, f"{name}__payload")
    for item in schedule:
        valid.value = item is not None
        payload.value = rng.getrandbits(len(payload)) if item is None else item
        await RisingEdge(dut.clk)
    valid.value = 0


async def settle(dut):
    """Wait until the unit is done, and some cycles more."""
    left = 3
    while left:
        await ReadOnly()
        left = 3 if dut.busy.value else left - 1
        await RisingEdge(dut.clk)


def walk(keys: dict[int, object], last_pass: int) -> dict[int, tuple[int, int, int]]:
    """Channel beat, pass and beginning of every mask, by the cycle in which it is written, for keys by their cycle."""
    free, masks = 0, {}
    for cycle, key in keys.items():
        if key.last and key.pass_number == last_pass:
            begin = cycle + HITS_LATENCY + 1
            for number in range(last_pass + 1):
                free = max(free, begin)
                while free in keys:
                    free += 1
                free += BEAT
                masks[free - 1] = key.channel, number, begin
    return masks


def compare(probe: Probe, cases: Sequence[Case]) -> None:
    """Compare a recording of whole maps with the integer model's masks, and every cycle with the documentation."""
    length = len(probe.cycles)
    payloads = probe.values("key__payload", when="key__valid")
    keys = dict(zip(probe.when("key__valid"), map(ROUTED.from_bits, payloads), strict=True))
    queries = {}
    for case in cases:
        records = map(ROUTED.from_bits, case.records(case.qa).values())
        queries |= {record.address: record.data.as_value().value for record in records}
    hits = {
        cycle + HITS_LATENCY: (queries[key.address] & key.data.as_value().value).bit_count()
        for cycle, key in keys.items()
    }
    assert [cycle.hits for cycle in probe.cycles] == [hits.get(i, 0) for i in range(length)]

    masks = walk(keys, cases[0].passes - 1)
    assert probe.when("trace__valid") == list(masks)
    traced = [WRITE.from_bits(payload) for payload in probe.values("trace__payload", when="trace__valid")]
    assert [write.address for write in traced] == [number * PITCH + channel for channel, number, _ in masks.values()]
    found, wanted = iter(traced), []
    for case in cases:
        order = [(channel, number) for channel in range(case.qa.shape[2] // P) for number in range(case.passes)]
        wanted += [patterns(case.mask, number, channel) for channel, number in order]
    assert [list(write.data) for write in found] == wanted

    inside = {cycle + delay for cycle in keys for delay in range(1, HITS_LATENCY + 1)}
    inside |= {cycle for end, (_, _, begin) in masks.items() for cycle in range(begin, end + 1)}
    assert probe.when("busy") == sorted(inside)
    ends = {(ROUTED.from_bits(key).channel) for case in cases for key in list(case.records(case.ka).values())[-1:]}
    last = cases[0].passes - 1
    groups = [
        c for c, (channel, n, _) in masks.items() if n == last and (channel % GROUP == GROUP - 1 or channel in ends)
    ]
    assert probe.when("complete") == [cycle + 1 for cycle in groups]


async def read_masks(dut, case: Case) -> None:
    """Read masks back, one a cycle; between reads the last one stays."""
    for number in range(case.passes):
        for channel in range(case.qa.shape[2] // P):
            dut.mask_channel.value, dut.mask_pass.value, dut.mask_enable.value = channel, number, 1
            await RisingEdge(dut.clk)
            dut.mask_channel.value, dut.mask_enable.value = 0, channel % 2
            await ReadOnly()
            found = list(spikes_layout(CONFIG).from_bits(int(dut.mask_data.value)))
            assert found == patterns(case.mask, number, channel), f"mask of channel beat {channel} in pass {number}"
            await RisingEdge(dut.clk)
    dut.mask_enable.value = 0


async def run(dut, case: Case, *, threshold: int, stall: float = 0.0) -> None:
    """Run one map, and compare every cycle of it and the mask in memory."""
    await play(dut, "query", list(case.records(case.qa).values()))
    dut.mask_threshold.value, dut.last_pass.value = threshold, case.passes - 1
    probe = Probe(dut, PORTS)
    await play(dut, "key", spaced(case.records(case.ka), stall))
    await settle(dut)
    probe.stop()
    compare(probe, [case])
    await read_masks(dut, case)


async def check(dut, qa: torch.Tensor, ka: torch.Tensor, threshold: int, **choices) -> None:
    """Run one map against the integer model; ``choices`` are those of `run`."""
    await run(dut, Case(qa=qa, ka=ka, mask=expected(qa, ka, threshold)), threshold=threshold, **choices)


@cocotb.test()
async def random_maps(dut):
    """One and many windows, one and all channel beats, all numbers of passes, gaps and none."""
    await start(dut)
    for index, (beats, windows) in enumerate([(1, 1), (1, 16), (3, 4), (CONFIG.channel_depth, 4), (5, 16)]):
        for stall in (0.0, 0.5):
            passes = 1 + index % CONFIG.passes
            qa = random_spikes(f"qa {index}", beats, windows, 0.6, passes)
            ka = random_spikes(f"ka {index}", beats, windows, 0.6, passes)
            await check(dut, qa, ka, max(1, windows * 3), stall=stall)


@cocotb.test()
async def thresholds(dut):
    """The membrane exactly at the threshold, and one beside it; silence, and everything firing."""
    await start(dut)
    qa = random_spikes("qa", 2, 9, 0.7)
    ones, zeros = torch.ones_like(qa), torch.zeros_like(qa)
    count = (qa & ones).sum(dim=3, dtype=torch.int32) << UNIT_BITS
    v, membranes = torch.zeros_like(count[0]), set()
    for current in count:
        v, _ = lif_step(v, current, 2**17, reset=Reset.HARD)
        membranes |= set(v.flatten().tolist())
    for membrane in sorted(membranes - {0})[:8]:
        for threshold in (membrane - 1, membrane, membrane + 1):
            await check(dut, qa, ones, threshold)
    for ka in (zeros, ones):
        for threshold in (1, 16 * 256 - 1):
            await check(dut, ones, ka, threshold)


@cocotb.test()
async def largest_map(dut):
    """A count of ``2**COUNT_BITS - 1`` does not wrap; the same channel beat as often as it may come."""
    await start(dut)
    windows = 2**COUNT_BITS - 1
    ones = torch.ones(T, 1, P, windows, dtype=torch.uint8)
    current = torch.full((T, 1, P), windows << UNIT_BITS, dtype=torch.int32)
    for threshold in (current[0, 0, 0].item() // 2, current[0, 0, 0].item() // 2 + 1):
        mask = lif(current, threshold, reset=Reset.HARD)
        await run(dut, Case(qa=ones, ka=ones, mask=mask), threshold=threshold)


@cocotb.test()
async def keys_beside_masks(dut):
    """Groups follow each other faster than their masks are made, while queries for a map after this one are written."""
    await start(dut)
    beats, windows, threshold = 3 * GROUP + 1, 1, 16
    qa, ka = (random_spikes(kind, beats, windows, 0.7) for kind in ("qa", "ka"))
    case = Case(qa=qa, ka=ka, mask=expected(qa, ka, threshold))
    following = Case(qa=ka, ka=ka, mask=expected(ka, ka, threshold), base=CONFIG.passes * beats * windows)
    await play(dut, "query", list(case.records(case.qa).values()))
    dut.mask_threshold.value, dut.last_pass.value = threshold, CONFIG.passes - 1
    probe = Probe(dut, PORTS)
    writer = cocotb.start_soon(play(dut, "query", list(following.records(following.qa).values())))
    await play(dut, "key", spaced(case.records(case.ka), 0.0))
    await writer
    await settle(dut)
    await play(dut, "key", spaced(following.records(following.ka), 0.3))
    await settle(dut)
    probe.stop()
    compare(probe, [case, following])
    await read_masks(dut, following)


@cocotb.test()
async def reset_in_flight(dut):
    """A reset drops what is inside; the next map starts its counts from zero."""
    await start(dut)
    ones = torch.ones(CONFIG.passes * T, 1, 2 * P, 4, dtype=torch.uint8)
    case = Case(qa=ones, ka=ones, mask=ones[..., 0])
    await play(dut, "query", list(case.records(ones).values()))
    dut.mask_threshold.value, dut.last_pass.value = 1, CONFIG.passes - 1
    for age in range(0, LATENCY + 2 * BEAT, 5):
        await play(dut, "key", [*spaced(case.records(ones), 0.0), *[None] * age])
        await reset(dut, 1)
        probe = Probe(dut, PORTS)
        await play(dut, "key", [None] * (LATENCY + 2))
        probe.stop()
        assert not any(probe.when(name) for name in ("hits", "busy", "complete", "trace__valid"))
    await check(dut, random_spikes("qa", 2, 4, 0.5), random_spikes("ka", 2, 4, 0.5), 20)
