"""Boards that are not in the catalogue: their files are complete, but the SoC has not been routed for them."""

from functools import partial

from amaranth_boards.icepi_zero import IcepiZero1_3Platform
from amaranth_boards.tang_primer_20k import TangPrimer20kDockPlatform

from hw.boards.board import Board
from hw.boards.clocks import Ecp5Pll, Oscillator
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

TANG_PRIMER_20K = Board(
    name="tang-primer-20k",
    title="Tang Primer 20K with GW2A-18",
    platform=partial(TangPrimer20kDockPlatform, toolchain="Apicula"),
    device="gw2a-18",
    package=(),
    clock=Oscillator,
    hertz=27_000_000,
    baud=1_000_000,
    hardware="serial-20k",
    memory_bytes=32 * 1024,
    flasher=("--board", "tangprimer20k"),
    # The serial line is on pins that the device is also configured by.
    packing=("--mspi_as_gpio", "--sspi_as_gpio", "--ready_as_gpio", "--done_as_gpio"),
)
