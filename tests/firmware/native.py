"""The firmware's C, built for the machine that runs the tests."""

import ctypes
import functools
import tempfile
from pathlib import Path

import firmware
from firmware.link import PAYLOAD
from hw.synth.tools import run_tool
from scripts.firmware import WARNINGS

FOLDER = Path(firmware.__file__).parent

STAND_INS = Path(__file__).parent

CHECKS = ("-g", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all")
"""What C leaves undefined ends the program."""

FRAME_PAYLOAD, FRAME_BYTES = PAYLOAD, PAYLOAD + 6


class Frame(ctypes.Structure):
    """``struct frame``: two bytes before the sequence number bring the payload to a word."""

    _fields_ = (("count", ctypes.c_size_t), ("content", ctypes.c_uint8 * (2 + FRAME_BYTES)))

    def text(self) -> tuple[int, int, bytes]:
        """Sequence number, code and payload."""
        return self.content[2], self.content[3], bytes(self.content[4 : 4 + self.count])


class FrameReader(ctypes.Structure):
    """``struct frame_reader``."""

    _fields_ = (
        ("frame", Frame),
        ("count", ctypes.c_size_t),
        ("left", ctypes.c_uint8),
        ("started", ctypes.c_uint8),
    )


def compile_native(output: Path, sources: list[Path | str], *options: str) -> None:
    """Compile files of the firmware, and others by their full path. Raises SaformerError with the messages."""
    run_tool(["cc", *WARNINGS, *CHECKS, "-I.", f"-I{STAND_INS}", *options, "-o", output, *sources], cwd=FOLDER)


@functools.cache
def frames() -> ctypes.CDLL:
    """The frames as a library."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "frames.so")
        stand_ins = [STAND_INS / "crc.c", STAND_INS / "crc_board.c"]
        compile_native(path, ["frame.c", *stand_ins], "-shared", "-fPIC")
        library = ctypes.CDLL(str(path))
    library.frame_write.restype = ctypes.c_size_t
    return library
