"""Line buffer and its raster: their windows against the grid, with gaps, over all kinds of grids."""

import random

import cocotb
from amaranth import unsigned
from amaranth.lib import data

from hw.attention.line_buffer import NEIGHBOURS
from sim.benches.clocked import Clocked
from sim.streams import generator, parameters, reset, start

BITS, CELLS, WIDTH = (parameters()[name] for name in ("bits", "max_cells", "max_width"))
GRIDS = ((1, 1), (1, 4), (4, 1), (2, 2), (3, 2), (WIDTH, 3), (WIDTH, WIDTH))
OUTPUTS = ("inside", "wrap", "centre", "neighbours", "last")
WINDOW = data.ArrayLayout(unsigned(BITS), 9)


def neighbours(width: int, height: int, row: int, col: int) -> dict[str, int]:
    inside = {"north": row > 0, "south": row < height - 1, "west": col > 0, "east": col < width - 1}
    return {name: int(value) for name, value in inside.items()}


async def check_raster(raster: Clocked, width: int, height: int, rng: random.Random, gaps: float) -> None:
    """Walk over a grid and what is behind it, and compare every position."""
    await raster.cycle(width=width, height=height, start=1, step=rng.getrandbits(1))
    raster.set(start=0)
    for position in range(width * height + width + 1):
        while True:
            step = int(rng.random() >= gaps)
            seen = await raster.cycle(step=step)
            row, col = divmod(position - width - 1, width)
            assert seen.inside == (position < width * height), f"position {position} of {width}x{height}"
            assert seen.wrap == (position % width == width - 1)
            assert seen.centre == (row >= 0)
            assert seen.last == (position == width * height + width)
            if seen.centre:
                assert seen.neighbours == NEIGHBOURS.const(neighbours(width, height, row, col)).as_bits()
            if step:
                break


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def rasters(dut):
    """All grids, with and without gaps, some abandoned at any position."""
    await start(dut)
    raster, rng = Clocked(dut, OUTPUTS, prefix="raster__"), generator("rasters")
    for gaps in (0, 0.5):
        for width, height in GRIDS:
            await check_raster(raster, width, height, rng, gaps)
            for _ in range(rng.randrange(10)):
                await raster.cycle(step=1)
            await reset(dut, rng.randrange(2))


class Feed:
    """Beats of a grid on their way through a line buffer, as fast as it allows or with gaps."""

    def __init__(self, lines: Clocked, width: int, height: int, cells: int, rng: random.Random, gaps: float):
        self.lines, self.rng, self.gaps = lines, rng, gaps
        self.width, self.height, self.cells = width, height, cells
        count = (width * height + width + 1) * cells
        self.beats = [rng.getrandbits(BITS) for _ in range(count)]
        self.entered = self.left = 0

    def may_enter(self, leave: bool) -> bool:
        """Whether the next beat finds the stage free, and in memory what it needs."""
        free = self.entered == self.left or (leave and self.entered == self.left + 1)
        return self.entered < len(self.beats) and free and self.entered - self.cells < self.left

    async def cycle(self) -> int:
        """One cycle; returns the window that is shown in it."""
        leave = self.left < self.entered and self.rng.random() >= self.gaps
        enter = self.may_enter(leave) and self.rng.random() >= self.gaps
        number = self.entered if enter else self.rng.randrange(len(self.beats))
        position, cell = divmod(number, self.cells)
        seen = await self.lines.cycle(
            enables=enter | leave << 1,
            beat=self.beats[number] if enter else self.rng.getrandbits(BITS),
            cell=cell,
            place=position % self.width * self.cells + cell,
        )
        self.entered += enter
        self.left += leave
        return seen.window

    def check(self, number: int, window: int) -> None:
        """Compare the window that a beat completed, as far as it is inside the grid."""
        position, cell = divmod(number, self.cells)
        row, col = divmod(position - self.width - 1, self.width)
        if row < 0:
            return
        values = WINDOW.from_bits(window)
        for index in range(9):
            y, x = row + index // 3 - 1, col + index % 3 - 1
            if 0 <= y < self.height and 0 <= x < self.width:
                assert values[index] == self.beats[(y * self.width + x) * self.cells + cell], f"beat {number}"


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def windows(dut):
    """All grids with few and many beats a position, one after the other, with gaps, and without at full speed."""
    await start(dut)
    lines, rng = Clocked(dut, ["window"], prefix="lines__"), generator("windows")
    for gaps in (0, 0.5):
        for width, height in GRIDS:
            for cells in (1, 2, CELLS):
                feed = Feed(lines, width, height, cells, rng, gaps)
                cycles = 0
                while feed.left < len(feed.beats):
                    left = feed.left
                    window = await feed.cycle()
                    cycles += 1
                    if left:
                        feed.check(left - 1, window)
                feed.check(feed.left - 1, await feed.cycle())
                if gaps == 0:
                    # Beats of positions with only one wait for each other.
                    assert cycles == len(feed.beats) * (2 if cells == 1 else 1) + (cells > 1)
