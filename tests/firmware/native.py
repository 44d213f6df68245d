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

CHECKS = ("-g", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all")
"""What C leaves undefined ends the program."""

FRAME_PAYLOAD, FRAME_BYTES = PAYLOAD, PAYLOAD + 6


class Frame(ctypes.Structure):
    """``struct frame``."""

    _fields_ = (
        ("sequence", ctypes.c_uint8),
        ("code", ctypes.c_uint8),
        ("payload", ctypes.c_uint8 * FRAME_PAYLOAD),
        ("count", ctypes.c_size_t),
    )

    def content(self) -> tuple[int, int, bytes]:
        """Sequence number, code and payload."""
        return self.sequence, self.code, bytes(self.payload[: self.count])


class FrameReader(ctypes.Structure):
    """``struct frame_reader``."""

    _fields_ = (
        ("bytes", ctypes.c_uint8 * FRAME_BYTES),
        ("count", ctypes.c_size_t),
        ("left", ctypes.c_uint8),
        ("started", ctypes.c_uint8),
    )


def compile_native(output: Path, sources: list[Path | str], *options: str) -> None:
    """Compile files of the firmware, and others by their full path. Raises SaformerError with the messages."""
    run_tool(["cc", *WARNINGS, *CHECKS, "-I.", *options, "-o", output, *sources], cwd=FOLDER)


@functools.cache
def frames() -> ctypes.CDLL:
    """The frames as a library."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "frames.so")
        compile_native(path, ["crc.c", "frame.c"], "-shared", "-fPIC")
        library = ctypes.CDLL(str(path))
    library.crc32.restype = ctypes.c_uint32
    library.frame_write.restype = ctypes.c_size_t
    return library
