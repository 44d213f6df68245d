"""ECPIX-5 with an LFE5UM5G-85F (LambdaConcept): the fastest grade of ECP5, program memory inside the chip.

Its DDR3 memory is not used.
"""

from amaranth_boards.ecpix5 import ECPIX585Platform

from hw.boards.board import Board
from hw.boards.clocks import Ecp5Pll

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
