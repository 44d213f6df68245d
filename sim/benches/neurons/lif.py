"""The neurons against the integer model."""

import random
from itertools import product

import cocotb
import torch
from cocotb.triggers import ReadOnly, RisingEdge

from golden.config import Reset
from golden.neurons.exact import lif_step
from sim.benches.neurons.pipeline import Recorder, play, with_gaps
from sim.streams import generator, pack, parameters, reset, start

CHANNELS, TIMESTEPS, BITS = (parameters()[name] for name in ("channels", "timesteps", "current_bits"))
RESET = Reset(parameters()["reset"])
CARRIED = parameters()["carried"]
LATENCY = 2 * TIMESTEPS - (not CARRIED)
LIMIT = 2 ** (BITS - 1)


def random_currents(rng: random.Random, count: int) -> torch.Tensor:
    """Currents [TIMESTEPS, count], int32, of very different magnitudes."""
    columns = []
    for _ in range(count):
        size = min(LIMIT, 2 ** rng.randint(1, BITS))
        columns.append([rng.randint(-size, size - 1) for _ in range(TIMESTEPS)])
    return torch.tensor(columns, dtype=torch.int32).T


def random_membranes(rng: random.Random, count: int) -> torch.Tensor:
    """Membranes [count] to start from, int32; 0 where they are not carried."""
    values = [rng.choice((rng.randint(-LIMIT, LIMIT - 1), rng.randint(-9, 9), 0)) * CARRIED for _ in range(count)]
    return torch.tensor(values, dtype=torch.int32)


def fire(currents: torch.Tensor, thresholds: torch.Tensor, before: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Spikes, and the membranes after every timestep, of trains [TIMESTEPS, count]; both [TIMESTEPS, count]."""
    v, spikes, membranes = before, [], []
    for current in currents:
        v, spike = lif_step(v, current, thresholds, reset=RESET)
        spikes.append(spike)
        membranes.append(v)
    return torch.stack(spikes), torch.stack(membranes)


def close_thresholds(rng: random.Random, currents: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """Thresholds that the membranes hit, or miss by one, at some timestep; not negative."""
    _, membranes = fire(currents, torch.tensor(LIMIT), before)
    steps = [rng.randrange(TIMESTEPS) for _ in range(currents.shape[1])]
    offsets = torch.tensor([rng.choice((-1, 0, 1)) for _ in steps])
    near = membranes[steps, range(len(steps))] + offsets
    return near.clamp(0, LIMIT - 1).to(torch.int32)


def beats(currents: torch.Tensor, thresholds: torch.Tensor, before: torch.Tensor) -> list[tuple[int, int, int]]:
    """Payload of the input, spikes, and final membranes for the beats of currents [TIMESTEPS, beats * CHANNELS]."""
    spikes, membranes = fire(currents, thresholds, before)
    records = []
    for first in range(0, len(thresholds), CHANNELS):
        beat = slice(first, first + CHANNELS)
        values = [*currents[:, beat].T.flatten().tolist(), *thresholds[beat].tolist()]
        if CARRIED:
            values += before[beat].tolist()
        fired = pack(spikes[:, beat].T.flatten().tolist(), 1)
        records.append((pack(values, BITS), fired, pack(membranes[-1, beat].tolist(), BITS)))
    return records


async def check(dut, records: list[tuple[int, int, int]], stall: float):
    """Send trains and compare what leaves, and the cycle in which it leaves."""
    rng = generator("gaps")
    schedule = [*with_gaps(records, stall, rng), *[None] * (LATENCY + 3)]
    entries = {cycle: record for cycle, record in enumerate(schedule) if record is not None}
    occupied = {cycle + delay for cycle in entries for delay in range(1, LATENCY + 1)}
    leaving = {cycle + LATENCY: record for cycle, record in entries.items()}

    def check_cycle(cycle):
        assert dut.busy.value == (cycle in occupied), f"busy in cycle {cycle}"
        if CARRIED and cycle in leaving:
            assert dut.after.value == leaving[cycle][2], f"membranes in cycle {cycle}"

    recorder = Recorder(dut, ["o"])
    await play(dut, [record and record[0] for record in schedule], recorder, rng, each_cycle=check_cycle)
    assert recorder.items["o"] == {cycle: spikes for cycle, (_, spikes, _) in leaving.items()}


def random_beats(rng: random.Random, count: int) -> list[tuple[int, int, int]]:
    """Beats of random trains."""
    currents, before = random_currents(rng, count * CHANNELS), random_membranes(rng, count * CHANNELS)
    return beats(currents, close_thresholds(rng, currents, before), before)


@cocotb.test()
async def random_trains(dut):
    """Currents of all sizes, thresholds anywhere near the membranes, gaps and none."""
    await start(dut)
    rng = generator("trains")
    for stall in (0.0, 0.4):
        await check(dut, random_beats(rng, 500), stall)


@cocotb.test()
async def corners(dut):
    """The ends of every range: always silent, always firing, the largest steps of the membrane."""
    await start(dut)
    trains = [[value] * TIMESTEPS for value in (0, -1, 1, LIMIT - 1, -LIMIT)]
    trains += [[(-LIMIT, LIMIT - 1)[(step + shift) % 2] for step in range(TIMESTEPS)] for shift in (0, 1)]
    thresholds = [0, 1, LIMIT // 2 - 1, LIMIT - 1]
    if RESET is Reset.HARD:
        thresholds += [-1, -LIMIT]
    membranes = (0, -1, LIMIT - 1, -LIMIT) if CARRIED else (0,)
    cases = list(product(trains, thresholds, membranes))
    cases += cases[: -len(cases) % CHANNELS]
    currents, thresholds, before = (torch.tensor(values, dtype=torch.int32) for values in zip(*cases, strict=True))
    await check(dut, beats(currents.T, thresholds, before), 0.0)


@cocotb.test()
async def reset_in_flight(dut):
    """A reset drops the trains inside; the next ones start anew."""
    await start(dut)
    rng = generator("reset")
    for age in range(1, LATENCY + 1):
        ((train, _, _),) = random_beats(rng, 1)
        await play(dut, [train, *[None] * (age - 1)], Recorder(dut, []), rng)
        await reset(dut, 1)
        for _ in range(LATENCY + 1):
            await ReadOnly()
            assert not dut.o__valid.value
            assert not dut.busy.value
            await RisingEdge(dut.clk)
        await check(dut, random_beats(rng, 2), 0.0)
