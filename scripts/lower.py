"""``saformer lower``: the program image of a model, as a file or as a listing."""

from pathlib import Path
from typing import Annotated

import typer

from golden.errors import SaformerError
from hw.compile.choose import lower_for
from hw.compile.image import write_image
from hw.compile.lowering import Lowered
from hw.program import Kind, Program
from scripts.cosim import HardwareOption
from scripts.inputs import ModelName, resolve_model
from scripts.outputs import ensure_writable
from scripts.query import Query, QueryOption
from scripts.tables import console, integer, table


def lower_model(
    model: ModelName = "tiny",
    hardware: HardwareOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="File to write the image to.")] = None,
    dump: Annotated[bool, typer.Option("--dump", help="Print layers, addresses, sizes and descriptor fields.")] = False,
    query: QueryOption = Query.POOLED,
) -> None:
    """Translate a model into the one file that an accelerator needs to run it."""
    if out is None and not dump:
        raise SaformerError("nothing to do: name a file with --out, or ask for a listing with --dump")
    ensure_writable(out)
    named = resolve_model(model)
    lowered = lower_for(named.model, hardware, pooled_query=query is Query.POOLED)
    if dump:
        _dump(lowered)
    if out is not None:
        image = write_image(out, lowered)
        console().print(
            f"wrote {out}: {named.name} for hardware {image.hardware.name}, {integer(len(image.payload))} bytes of "
            f"program behind {integer(image.offset)} of header, SHA-256 {image.digest[:16]}"
        )


def _dump(lowered: Lowered) -> None:
    """Print every section and every descriptor."""
    out = console()
    address, rows = 0, []
    for section in lowered.program.sections():
        name = section.layer or "(program)"
        rows.append(
            (
                f"{address:#010x}",
                name,
                integer(section.group),
                section.memory.name.lower(),
                integer(section.count),
                integer(len(section.data)),
            )
        )
        address += len(section.data)
    out.print(table(("address", "layer", "group", "section", "entries", "bytes"), rows))
    for number, line in enumerate(describe(lowered.program), start=1):
        out.print(f"{number:3} {line}", soft_wrap=True, highlight=False)
    out.print(f"program  {integer(address)} bytes, {integer(lowered.program.rows)} rows of weights")


def describe(program: Program) -> list[str]:
    """Return a line for every descriptor: the layer, its kind, and the fields that are not zero."""
    lines = []
    for layer in program.layers:
        fields = [f"{name}={int(value)}" for name, value in layer.fields.items() if value and name != "kind"]
        lines.append(f"{layer.name} {Kind(layer.fields['kind']).name} {' '.join(fields)}")
    return lines
