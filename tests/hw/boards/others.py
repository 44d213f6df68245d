"""Boards that are not in the catalogue: their files are complete, but the SoC has not been routed for them."""

from functools import partial

from amaranth_boards.ecpix5 import ECPIX585Platform
from amaranth_boards.icesugar_pro import ICESugarProPlatform
from amaranth_boards.tang_primer_20k import TangPrimer20kDockPlatform

from hw.boards.board import Board
from hw.boards.clocks import Ecp5Pll, Oscillator
from hw.boards.ulx3s import CHIP

ECPIX5_85F = Board(
    name="ecpix5-85f",
    title="ECPIX-5 with LFE5UM5G-85F",
    platform=ECPIX585Platform,
    device="lfe5um5g-85f",
    package=("--package", "CABGA554"),
    clock=Ecp5Pll,
    hertz=60_000_000,
    baud=1_000_000,
    hardware="default-32",
    memory_bytes=192 * 1024,
    flasher=("--board", "ecpix5"),
)

ICESUGAR_PRO = Board(
    name="icesugar-pro",
    title="iCESugar-Pro with LFE5U-25F",
    platform=ICESugarProPlatform,
    device="lfe5u-25f",
    package=("--package", "CABGA256"),
    clock=Ecp5Pll,
    hertz=50_000_000,
    baud=1_000_000,
    hardware="little",
    memory_bytes=CHIP.size,
    sdram=CHIP,
    flasher=("--board", "icesugar-pro"),
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
    hardware="little",
    memory_bytes=24 * 1024,
    flasher=("--board", "tangprimer20k"),
    # The serial line is on pins that the device is also configured by.
    packing=("--mspi_as_gpio", "--sspi_as_gpio", "--ready_as_gpio", "--done_as_gpio"),
)
