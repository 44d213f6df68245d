"""Line buffer: its windows against PyTorch's, with gaps, over all kinds of grids."""

import cocotb
import torch
from amaranth import unsigned
from cocotb.triggers import RisingEdge
from torch.nn import functional as F

from hw.line_buffer import window_layout
from sim.benches.probe import Probe
from sim.streams import StreamSource, generator, parameters, reset, start

GRIDS = ((1, 1), (1, 4), (4, 1), (2, 2), (3, 2), (5, 3), (5, 5))
PORTS = ("i__valid", "o__valid", "o__payload")


def expected(grid: list[int], width: int) -> list[tuple]:
    """Beats and neighbours (north, south, west, east) of the windows of one grid, in raster order."""
    rows = torch.tensor(grid, dtype=torch.float64).reshape(1, 1, -1, width)
    beats = F.unfold(rows, 3, padding=1)[0].T.to(int).tolist()
    inside = F.unfold(torch.ones_like(rows), 3, padding=1)[0].T.to(int).tolist()
    return [(window, [near[i] for i in (1, 7, 3, 5)]) for window, near in zip(beats, inside, strict=True)]


def observed(payload: int) -> tuple:
    window = window_layout(unsigned(parameters()["bits"])).from_bits(payload)
    near = window.neighbours
    return list(window.beats), [near.north, near.south, near.west, near.east]


async def begin(dut, width: int, height: int) -> None:
    """Start a grid; the cycle after this one takes its first beat."""
    dut.width.value, dut.height.value, dut.start.value = width, height, 1
    await RisingEdge(dut.clk)
    dut.start.value = 0


async def run(dut, source: StreamSource, grids: list[list[int]], width: int, height: int) -> None:
    """Send grids of one size without a gap, flush them, and check every window and its cycle."""
    await begin(dut, width, height)
    probe = Probe(dut, PORTS)
    source.put([beat for grid in grids for beat in grid] + [source.rng.getrandbits(4) for _ in range(width + 1)])
    await source.drained()
    for _ in range(3):
        await RisingEdge(dut.clk)
    probe.stop()
    windows = [observed(payload) for payload in probe.values("o__payload", when="o__valid")]
    assert windows == [window for grid in grids for window in expected(grid, width)], f"grid {width}x{height}"
    assert probe.when("o__valid") == [cycle + 1 for cycle in probe.when("i__valid")[width + 1 :]]


@cocotb.test()
async def windows(dut):
    """All grids, with and without gaps between the beats, one and several grids back to back."""
    await start(dut)
    rng = generator("windows")
    source = StreamSource(dut, "i")
    for stall in (0, 0.5):
        source.stall = stall
        for width, height in GRIDS:
            grids = [[rng.getrandbits(parameters()["bits"]) for _ in range(width * height)] for _ in range(3)]
            await run(dut, source, grids[:1], width, height)
            await run(dut, source, grids, width, height)


@cocotb.test()
async def interrupted(dut):
    """A start and a reset in the middle of a grid forget all about it."""
    await start(dut)
    source = StreamSource(dut, "i", stall=0.3)
    full = 2 ** parameters()["bits"] - 1
    for interrupt in (False, True):
        for beats in range(12):
            await begin(dut, 4, 4)
            source.put([full] * beats)
            await source.drained()
            if interrupt:
                await reset(dut, 1)
            await run(dut, source, [list(range(6))], 3, 2)
