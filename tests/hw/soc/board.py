"""The board that the tests of the SoC and of its host share: it is built once."""

from dataclasses import replace

import firmware
from hw.config import HARDWARE
from sim.board import SimulatedBoard

CONFIG = replace(HARDWARE["small"], name="board", timesteps=2, passes=2)

MEMORY_BYTES = 1 << 16


def board() -> SimulatedBoard:
    """Return the board."""
    return SimulatedBoard(config=CONFIG, memory_bytes=MEMORY_BYTES, firmware=firmware.image())
