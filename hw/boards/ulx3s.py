"""ULX3S with an LFE5U-85F (Radiona): ECP5, SDRAM, USB serial line."""

from amaranth_boards.ulx3s import ULX3S_85F_Platform

from hw.boards.board import Board
from hw.boards.clocks import Ecp5Pll
from hw.soc.litedram import Sdram

CHIP = Sdram(chip="MT48LC16M16")
"""The board comes with one of several chips. This is the smallest and slowest of them; a larger one is used half."""

ULX3S_85F = Board(
    name="ulx3s-85f",
    title="ULX3S with LFE5U-85F",
    platform=ULX3S_85F_Platform,
    device="lfe5u-85f",
    package=("--package", "CABGA381"),
    clock=Ecp5Pll,
    hertz=50_000_000,
    baud=1_000_000,
    hardware="default",
    memory_bytes=CHIP.size,
    sdram=CHIP,
    flasher=("--board", "ulx3s"),
)
