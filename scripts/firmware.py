"""``python -m scripts.firmware``: build the firmware's image."""

import sys
import tempfile
from pathlib import Path

import firmware
from hw.synth.tools import run_tool

SOURCES = ("start.S", "main.c", "board.c", "device.c", "frame.c")

TARGET = ("-target", "riscv32-freestanding-none", "-mcpu=generic_rv32", "-ffreestanding")

WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Werror")

# Without these the compiler adds tables, checks and hashes that nobody reads.
PLAIN = ("-O2", "-flto", "-g0", "-fno-sanitize=all", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables")

# The entry is named once more: the linker does not take it from the script, and drops everything without one.
LINKER = ("-Wl,-T,link.ld", "-Wl,-e,start", "-Wl,--gc-sections", "-Wl,--build-id=none")


def build() -> bytes:
    """Return the image: the same bytes on every machine. Raises SaformerError with the compiler's messages."""
    folder = Path(firmware.__file__).parent
    zig = (sys.executable, "-m", "ziglang")
    with tempfile.TemporaryDirectory() as work:
        program, image = Path(work, "firmware.elf"), Path(work, "firmware.bin")
        command = [*zig, "cc", *TARGET, *WARNINGS, *PLAIN, "-isystem", "freestanding", *LINKER, "-o", program, *SOURCES]
        run_tool(command, cwd=folder)
        run_tool([*zig, "objcopy", "-O", "binary", program, image], cwd=folder)
        content = image.read_bytes()
    return content + bytes(-len(content) % 4)


def main() -> int:
    """Write the image."""
    content = build()
    firmware.IMAGE.write_bytes(content)
    print(f"{firmware.IMAGE.name}: {len(content)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
