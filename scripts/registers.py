"""``python -m scripts.registers``: what is made of the description of the SoC's registers."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from peakrdl_cheader.exporter import CHeaderExporter
from peakrdl_markdown import MarkdownExporter
from systemrdl import RDLCompiler
from systemrdl.node import AddrmapNode, FieldNode

from hw.soc.map import Kind

ROOT = Path(__file__).parents[1]

SOURCE = "hw/soc/registers.rdl"

HEADER, PAGE, CONSTANTS = "firmware/registers.h", "docs/registers.md", "hw/soc/registers.py"


def compile_registers() -> AddrmapNode:
    """Return the compiled description. Raises RDLCompileError where it is wrong."""
    compiler = RDLCompiler()
    compiler.compile_file(str(ROOT / SOURCE))
    return compiler.elaborate().top


def field_kind(field: FieldNode) -> Kind:
    """What a field is to the hardware.

    Raises ValueError for a combination of properties that the hardware does not have.
    """
    taken, pushed, pulse = (field.get_property(name) for name in ("swacc", "swmod", "singlepulse"))
    readable, writable = field.is_sw_readable, field.is_sw_writable
    match readable, writable, field.is_hw_writable, field.is_hw_readable:
        case True, False, False, False:
            return Kind.CONSTANT
        case True, False, True, False:
            return Kind.TAKEN if taken else Kind.VALUE
        case True, True, False, True:
            return Kind.STORED
        case False, True, False, True if pulse:
            return Kind.PULSE
        case False, True, False, True if pushed:
            return Kind.PUSHED
    raise ValueError(f"{field.get_path()}: the hardware has no field with such properties")


def constants(registers: AddrmapNode) -> str:
    """Return the Python module of the registers."""
    lines = [
        f'"""The registers of the SoC, made of `{SOURCE}` by `python -m scripts.registers`: change that."""',
        "",
        "from hw.soc.map import Field, Kind, Register",
        "",
        "REGISTERS = (",
    ]
    for register in registers.registers():
        lines.append(f'    Register(name="{register.inst_name}", address=0x{register.absolute_address:02X}, fields=(')
        for field in register.fields():
            reset = field.get_property("reset")
            lines.append(
                f'        Field(name="{field.inst_name}", low={field.low}, width={field.width}, '
                f"kind=Kind.{field_kind(field).name}{f', reset=0x{reset:X}' if reset else ''}),"
            )
        lines.append("    )),")
    text = "\n".join([*lines, ")", '"""By rising address."""', ""])
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(ROOT / CONSTANTS), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def exported(registers: AddrmapNode) -> dict[str, str]:
    """Return the text of every file that is made of the description, by its path in the project."""
    with tempfile.TemporaryDirectory() as folder:
        header, page = Path(folder, "registers.h"), Path(folder, "registers.md")
        CHeaderExporter().export(registers, str(header), reuse_typedefs=False)
        MarkdownExporter().export(registers, str(page))
        # The page names its source by an absolute path.
        about = re.sub(
            r"(?s)\A<!---.*?-->", f"<!--- Made of {SOURCE} by `python -m scripts.registers`. -->", page.read_text()
        )
        return {HEADER: header.read_text(), PAGE: about, CONSTANTS: constants(registers)}


def main() -> int:
    """Write the files."""
    for name, text in exported(compile_registers()).items():
        (ROOT / name).write_text(text)
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
