"""``python -m scripts.firmware``: build the firmware's image."""

import json
import struct
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

import firmware
from hw.synth.tools import run_tool

ADD_IMMEDIATE, ADD, STACK_POINTER = 0x13, 0x33, 2
"""Opcodes of two instructions, and the number of a register."""

SOURCES = ("start.S", "main.c", "board.c", "device.c", "frame.c")

TARGET = ("-target", "riscv32-freestanding-none", "-mcpu=generic_rv32", "-ffreestanding")

WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Werror")

# Without these the compiler adds tables, checks and hashes that nobody reads.
PLAIN = ("-O2", "-flto", "-g0", "-fno-sanitize=all", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables")

# The entry is named once more: the linker does not take it from the script, and drops everything without one.
LINKER = ("-Wl,-T,link.ld", "-Wl,-e,start", "-Wl,--gc-sections", "-Wl,--build-id=none")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Bytes of the core's memory: code and constants, variables that begin with a value, and with zero, and a bound of
    the stack, the frames of all functions together."""

    code: int
    data: int
    zeroed: int
    stack: int


def build() -> tuple[bytes, Sizes]:
    """Return the image, the same bytes on every machine, and its sizes.

    Raises SaformerError with the compiler's messages.
    """
    folder = Path(firmware.__file__).parent
    zig = (sys.executable, "-m", "ziglang")
    with tempfile.TemporaryDirectory() as work:
        program, image = Path(work, "firmware.elf"), Path(work, "firmware.bin")
        command = [*zig, "cc", *TARGET, *WARNINGS, *PLAIN, "-isystem", "freestanding", *LINKER, "-o", program, *SOURCES]
        run_tool(command, cwd=folder)
        run_tool([*zig, "objcopy", "-O", "binary", program, image], cwd=folder)
        content = image.read_bytes()
        with ELFFile.load_from_path(program) as elf:
            sections = {name: _section_bytes(elf, name) for name in (".text", ".data", ".bss")}
    content += bytes(-len(content) % 4)
    code, data, zeroed = sections.values()
    return content, Sizes(code=code, data=data, zeroed=zeroed, stack=stack_bound(content))


def _section_bytes(elf: ELFFile, name: str) -> int:
    section = elf.get_section_by_name(name)
    return section["sh_size"] if section else 0


def stack_bound(image: bytes) -> int:
    """Return the sum of all frames that the code of an image makes: no function calls itself, so the stack is smaller.

    A frame is an ``addi sp, sp`` with a negative number (RISC-V unprivileged specification, RV32I). Raises ValueError
    for a stack pointer that is moved in another way than the compiler does for frames of less than 2 KiB.
    """
    total = 0
    for (word,) in struct.iter_unpack("<I", image):
        opcode, target = word & 0x7F, word >> 7 & 0x1F
        if target != STACK_POINTER or opcode not in (ADD_IMMEDIATE, ADD):
            continue
        if opcode == ADD:
            raise ValueError("a frame is larger than 2 KiB")
        step = (word >> 20) - (word >> 31 << 12)
        if word >> 15 & 0x1F == STACK_POINTER and word >> 12 & 7 == 0:
            total += max(0, -step)
    return total


def main() -> int:
    """Write the image."""
    content, sizes = build()
    firmware.IMAGE.write_bytes(content)
    print(f"{firmware.IMAGE.name}: {len(content)} bytes; {json.dumps(asdict(sizes))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
