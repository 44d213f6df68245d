"""iCEBreaker with an iCE40 UP5K (1BitSquared): the serial accelerator, firmware in the flash chip."""

from amaranth_boards.icebreaker import ICEBreakerPlatform

from hw.boards.board import Board
from hw.boards.clocks import Oscillator

ICEBREAKER = Board(
    name="icebreaker",
    title="iCEBreaker with iCE40 UP5K",
    platform=ICEBreakerPlatform,
    device="up5k",
    package=(),
    clock=Oscillator,
    hertz=12_000_000,
    baud=1_000_000,
    hardware="serial-8",
    memory_bytes=56 * 1024,
    flash=0x20000,
    flasher=("--board", "ice40_generic"),
)
