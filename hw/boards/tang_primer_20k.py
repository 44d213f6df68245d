"""Tang Primer 20K on its dock with a Gowin GW2A-18 (Sipeed): the serial accelerator, everything inside the chip."""

from functools import partial

from amaranth_boards.tang_primer_20k import TangPrimer20kDockPlatform

from hw.boards.board import Board
from hw.boards.clocks import Oscillator

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
    memory_bytes=24 * 1024,
    flasher=("--board", "tangprimer20k"),
    # The serial line is on pins that the device is also configured by.
    packing=("--mspi_as_gpio", "--sspi_as_gpio", "--ready_as_gpio", "--done_as_gpio"),
)
