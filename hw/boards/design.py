"""A board's design in the tools' languages, and what it will take of the device before they run."""

import struct
from dataclasses import dataclass

import firmware
from golden.errors import SaformerError
from hw.boards.board import Board, BoardDesign
from hw.config import HardwareConfig
from hw.serial.config import SerialConfig
from hw.soc.serial import FIRMWARE_WORDS, core_words, program_bytes
from hw.synth.devices import DEVICES, Device
from hw.synth.flow import TOP, memory_sizes
from hw.synth.foreign import foreign_rtlil
from hw.synth.rtlil import prepare

LUT_OF_SOC, LUT_OF_LANE, LUT_OF_SDRAM, LUT_OF_SERIAL = 10_900, 95, 2_000, 4_900
"""Estimate of the LUTs: of everything but the lanes, of a lane, and of the controller of an SDRAM; of all of a SoC with
the serial accelerator."""


@dataclass(frozen=True, kw_only=True)
class DesignText:
    """A board's design as `rtlil`, and the `constraints` of its pins."""

    rtlil: str
    constraints: str


def design_text(board: Board, config: HardwareConfig | SerialConfig) -> DesignText:
    """Return the design: the same text on every machine.

    Raises SaformerError for a configuration that the board's clock or memory does not allow.
    """
    if isinstance(config, HardwareConfig) and board.memory_bytes % config.bus_bytes:
        raise SaformerError(f"{board.name}: its memory is no whole number of words of {config.bus_bytes} bytes")
    design = BoardDesign(board=board, config=config, firmware=firmware.image())
    files = prepare(board.platform(), design, TOP)
    rtlil = files[f"{TOP}.il"] + "".join(foreign_rtlil(module) for module in design.foreign)
    return DesignText(rtlil=rtlil, constraints=files[DEVICES[board.device].bitstream.constraints])


def ram_use(rtlil: str, device: Device) -> dict[str, dict[str, int]]:
    """Return the RAMs of a device that every memory takes, by resource and path: the smallest number that holds it."""
    found: dict[str, dict[str, int]] = {"block": {}} | ({"single_port": {}} if device.single_ports else {})
    for path, size in memory_sizes(rtlil, TOP).items():
        if size.depth >= device.smallest_block:
            resource = "single_port" if size.undefined and device.single_ports else "block"
            shapes = device.single_ports if resource == "single_port" else device.blocks
            found[resource][path] = min(-(-size.depth // entries) * -(-size.width // bits) for entries, bits in shapes)
    return found


def memory_bytes(board: Board, config: HardwareConfig | SerialConfig) -> int:
    """Return the size of the program memory: the board's, or what programs have of the serial accelerator's store."""
    return program_bytes(config, board.flash) if isinstance(config, SerialConfig) else board.memory_bytes


def load_content(board: Board, bitstream: bytes) -> bytes:
    """Return what is loaded onto a board: the bitstream, and where the firmware is not in it, the firmware behind it.

    Raises SaformerError for a bitstream that reaches into the firmware's place.
    """
    if board.flash is None:
        return bitstream
    if len(bitstream) > board.flash:
        raise SaformerError(
            f"{board.name}: the bitstream has {len(bitstream)} bytes, and the firmware is to be at {board.flash} of "
            "the flash chip: give it another place"
        )
    # An erased chip has ones.
    return bitstream.ljust(board.flash, b"\xff") + core_memory()


def core_memory() -> bytes:
    """Return what the core's memory holds at the start, where it is filled from a flash chip."""
    return struct.pack(f"<{FIRMWARE_WORDS}I", *core_words(firmware.image()))


def append_script(board: Board, *, bitstream: str, memory: str) -> str:
    """Return the shell commands that make of a bitstream's file what `load_content` returns; ``memory`` is the file
    with `core_memory`."""
    if board.flash is None:
        return ""
    gap = f"$(({board.flash} - $(wc -c < {bitstream})))"
    return f"head -c {gap} /dev/zero | tr '\\0' '\\377' | cat - {memory} >> {bitstream}\n"


def estimate_luts(board: Board, config: HardwareConfig | SerialConfig) -> int:
    """Return about how many LUTs of four inputs the SoC takes: a line through what was measured."""
    if isinstance(config, SerialConfig):
        return LUT_OF_SERIAL
    return LUT_OF_SOC + LUT_OF_LANE * config.lanes + LUT_OF_SDRAM * (board.sdram is not None)
