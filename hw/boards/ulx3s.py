"""ULX3S with an LFE5U-85F (Radiona): ECP5, USB serial line."""

from amaranth_boards.ulx3s import ULX3S_85F_Platform

from hw.boards.board import Board
from hw.boards.clocks import Ecp5Pll

ULX3S_85F = Board(
    name="ulx3s-85f",
    title="ULX3S with LFE5U-85F",
    platform=ULX3S_85F_Platform,
    device="lfe5u-85f",
    package=("--package", "CABGA381"),
    clock=Ecp5Pll,
    hertz=50_000_000,
    baud=1_000_000,
    hardware="default-32",
    memory_bytes=192 * 1024,
    flasher=("--board", "ulx3s"),
)
