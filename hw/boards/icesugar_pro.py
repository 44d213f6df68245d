"""iCESugar-Pro with an LFE5U-25F (MuseLab): a small ECP5, SDRAM, USB serial line."""

from amaranth_boards.icesugar_pro import ICESugarProPlatform

from hw.boards.board import Board
from hw.boards.clocks import Ecp5Pll
from hw.boards.ulx3s import CHIP

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
