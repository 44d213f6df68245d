"""The neurons against the integer model."""

import random

import cocotb
import torch
from cocotb.triggers import ReadOnly, RisingEdge

from golden.config import Reset
from golden.integer import lif, lif_step
from sim.benches.pipeline import Recorder, play, with_gaps
from sim.streams import generator, pack, parameters, reset, start

CHANNELS, TIMESTEPS, BITS = (parameters()[name] for name in ("channels", "timesteps", "current_bits"))
RESET = Reset(parameters()["reset"])
LATENCY = 2 * TIMESTEPS - 1
LIMIT = 2 ** (BITS - 1)


def random_currents(rng: random.Random, count: int) -> torch.Tensor:
    """Currents [TIMESTEPS, count], int32, of very different magnitudes."""
    columns = []
    for _ in range(count):
        size = min(LIMIT, 2 ** rng.randint(1, BITS))
        columns.append([rng.randint(-size, size - 1) for _ in range(TIMESTEPS)])
    return torch.tensor(columns, dtype=torch.int32).T


def close_thresholds(rng: random.Random, currents: torch.Tensor) -> torch.Tensor:
    """Thresholds that the membranes hit, or miss by one, at some timestep; not negative."""
    v, membranes = torch.zeros_like(currents[0]), []
    for current in currents:
        v, _ = lif_step(v, current, LIMIT, reset=RESET)
        membranes.append(v)
    steps = [rng.randrange(TIMESTEPS) for _ in range(currents.shape[1])]
    offsets = torch.tensor([rng.choice((-1, 0, 1)) for _ in steps])
    near = torch.stack(membranes)[steps, range(len(steps))] + offsets
    return near.clamp(0, LIMIT - 1).to(torch.int32)


def beats(currents: torch.Tensor, thresholds: torch.Tensor) -> tuple[list[int], list[int]]:
    """Payloads of the input, and the spikes that they cause, for currents [TIMESTEPS, beats * CHANNELS]."""
    spikes = lif(currents, thresholds, reset=RESET)
    inputs, outputs = [], []
    for first in range(0, len(thresholds), CHANNELS):
        beat = slice(first, first + CHANNELS)
        values = [*currents[:, beat].T.flatten().tolist(), *thresholds[beat].tolist()]
        inputs.append(pack(values, BITS))
        outputs.append(pack(spikes[:, beat].T.flatten().tolist(), 1))
    return inputs, outputs


async def check(dut, currents: torch.Tensor, thresholds: torch.Tensor, stall: float):
    """Send trains and compare what leaves, and the cycle in which it leaves."""
    rng = generator("gaps")
    inputs, outputs = beats(currents, thresholds)
    schedule = [*with_gaps(inputs, stall, rng), *[None] * (LATENCY + 3)]
    entries = [cycle for cycle, item in enumerate(schedule) if item is not None]
    occupied = {cycle + delay for cycle in entries for delay in range(1, LATENCY + 1)}

    def check_busy(cycle):
        assert dut.busy.value == (cycle in occupied), f"busy in cycle {cycle}"

    recorder = Recorder(dut, ["o"])
    await play(dut, schedule, recorder, rng, each_cycle=check_busy)
    leaving = [cycle + LATENCY for cycle in entries]
    assert recorder.items["o"] == dict(zip(leaving, outputs, strict=True))


@cocotb.test()
async def random_trains(dut):
    """Currents of all sizes, thresholds anywhere near the membranes, gaps and none."""
    await start(dut)
    rng = generator("trains")
    for stall in (0.0, 0.4):
        currents = random_currents(rng, 500 * CHANNELS)
        await check(dut, currents, close_thresholds(rng, currents), stall)


@cocotb.test()
async def corners(dut):
    """The ends of every range: always silent, always firing, the largest steps of the membrane."""
    await start(dut)
    trains = [[value] * TIMESTEPS for value in (0, -1, 1, LIMIT - 1, -LIMIT)]
    trains += [[(-LIMIT, LIMIT - 1)[(step + shift) % 2] for step in range(TIMESTEPS)] for shift in (0, 1)]
    thresholds = [0, 1, LIMIT // 2 - 1, LIMIT - 1]
    if RESET is Reset.HARD:
        thresholds += [-1, -LIMIT]
    pairs = [(train, threshold) for train in trains for threshold in thresholds]
    pairs += pairs[: -len(pairs) % CHANNELS]
    currents = torch.tensor([train for train, _ in pairs], dtype=torch.int32).T
    await check(dut, currents, torch.tensor([threshold for _, threshold in pairs], dtype=torch.int32), 0.0)


@cocotb.test()
async def reset_in_flight(dut):
    """A reset drops the trains inside; the next ones start from a membrane of zero."""
    await start(dut)
    rng = generator("reset")
    for age in range(1, LATENCY + 1):
        currents = random_currents(rng, CHANNELS)
        (train,), _ = beats(currents, close_thresholds(rng, currents))
        await play(dut, [train, *[None] * (age - 1)], Recorder(dut, []), rng)
        await reset(dut, 1)
        for _ in range(LATENCY + 1):
            await ReadOnly()
            assert not dut.o__valid.value
            assert not dut.busy.value
            await RisingEdge(dut.clk)
        currents = random_currents(rng, 2 * CHANNELS)
        await check(dut, currents, close_thresholds(rng, currents), 0.0)
