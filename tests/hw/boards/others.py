"""Boards that are not in the catalogue: their files are complete, but the SoC has not been routed for them."""

from amaranth_boards.icepi_zero import IcepiZero1_3Platform

from hw.boards.board import Board
from hw.boards.clocks import Ecp5Pll
from hw.boards.ulx3s import CHIP

ICEPI_ZERO = Board(
    name="icepi-zero",
    title="Icepi Zero with LFE5U-25F",
    platform=IcepiZero1_3Platform,
    device="lfe5u-25f",
    package=("--package", "CABGA256"),
    clock=Ecp5Pll,
    hertz=50_000_000,
    baud=1_000_000,
    hardware="little",
    memory_bytes=CHIP.size,
    sdram=CHIP,
    flasher=("--board", "icepi-zero"),
)
