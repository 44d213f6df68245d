"""``saformer cosim``: a network on the simulated accelerator, compared with the integer model."""

import hashlib
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hw.config import load_hardware
from hw.lowering import Lowered, lower
from scripts.conventions import layer_millijoules
from scripts.inputs import DataFolder, JsonFile, ModelName, NamedModel, load_images, resolve_model
from scripts.outputs import ensure_writable, write_json, write_text
from scripts.report import ReportInput, render
from scripts.tables import console, integer, millijoule, percent, table
from sim.cosim import cosim as run_cosim

DIFFERENT = 1
"""Exit status when the hardware and the integer model differ."""

SHOWN = 10
"""Most mismatches that are printed."""


def cosim(
    model: ModelName = "tiny",
    images: Annotated[int, typer.Option(metavar="K", min=1, help="Number of images.")] = 1,
    first: Annotated[int, typer.Option(metavar="I", min=0, help="Number of the first image.")] = 0,
    data: DataFolder = None,
    hardware: Annotated[
        str,
        typer.Option(
            "--hw", metavar="CONFIG", help="Sizes of the accelerator: default, narrow, small, or a TOML file."
        ),
    ] = "default",
    json: JsonFile = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a report to look at, as HTML.")] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write a waveform (VCD) of the whole design; 1 GB in 80,000 cycles at 16 lanes."
        ),
    ] = None,
) -> None:
    """Run a network on the simulated accelerator and compare everything with the integer model.

    Every layer's spikes, the residual stream, the logits at every timestep and every counter. Exits with 1 if anything
    differs, and says where it differs first.
    """
    ensure_writable(json, report, trace)
    named, config = resolve_model(model), load_hardware(hardware)
    chosen = load_images(named.model.config, data, first=first, count=images)
    lowered = lower(named.model, config)
    with _progress() as bar:
        task = bar.add_task("building and simulating", total=images)
        result = run_cosim(
            named.model,
            chosen.images,
            chosen.labels,
            config=config,
            trace=trace,
            lowered=lowered,
            progress=lambda done, _cycles: bar.update(task, completed=done),
        )
    figures = result.to_json()
    if json is not None:
        write_json(json, figures)
    if report is not None:
        source = ReportInput(
            figures=figures,
            images=chosen,
            named=named,
            hardware=config,
            trace=result.first,
            hashes={"model, SHA-256": named.digest, "program, SHA-256": _digest(lowered)},
        )
        write_text(report, render(source))
    _print(named, figures)
    if report is not None:
        console().print(f"report      {report}")
    if not figures["bit_exact"]:
        raise typer.Exit(DIFFERENT)


def _digest(lowered: Lowered) -> str:
    """Return the SHA-256 of a program's words, 32 bits each, little-endian."""
    return hashlib.sha256(np.asarray(lowered.program.words(), dtype="<u4").tobytes()).hexdigest()


def _progress() -> Progress:
    """Return a progress bar on the standard error, gone when it is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console(error=True), transient=True)


def _print(named: NamedModel, figures: dict) -> None:
    """Print the layers, the mismatches if there are any, and the summary."""
    out, count, layers = console(), figures["images"], figures["layers"]
    energy = layer_millijoules(named.model.config, figures)
    columns = ("layer", "input rate", "accumulates, model", "RTL", "cycles", "ideal", "above", "energy")
    rows = [
        (
            layer["name"],
            percent(layer["firing_rate"]),
            integer(layer["sops_golden"] / count),
            integer(layer["sops_rtl"] / count),
            integer(layer["cycles"] / count),
            integer(layer["ideal_cycles"] / count),
            f"{100 * (layer['cycles'] / layer['ideal_cycles'] - 1):.1f} %" if layer["ideal_cycles"] else "",
            millijoule(energy[layer["name"]]),
        )
        for layer in layers
    ]
    out.print(table(columns, rows))
    mismatches = figures["mismatches"]
    for mismatch in mismatches[:SHOWN]:
        out.print(f"mismatch    {mismatch}", soft_wrap=True)
    if len(mismatches) > SHOWN:
        out.print(f"            and {len(mismatches) - SHOWN} more")
    for line in summary(named, figures):
        out.print(line, soft_wrap=True)


def summary(named: NamedModel, figures: dict) -> list[str]:
    """Return the last lines of the output: what was compared, and what came out."""
    energy, count = figures["energy_mj"], figures["images"]
    verdict = "bit-exact" if figures["bit_exact"] else f"NOT equal: {len(figures['mismatches'])} differences"
    return [
        f"model       {named.name}; counts, cycles and energy are per image",
        f"comparison  {verdict}: spikes, residual stream, logits and counters of {integer(count)} images",
        f"accuracy    {percent(figures['accuracy'])} on these images" + ("" if named.trained else " (untrained)"),
        f"cycles      {integer(figures['cycles_per_image'])} per image; "
        f"simulated at {integer(figures['cycles_per_second'])} cycles a second",
        f"energy      {millijoule(energy['eq19'])} per image by eq. 19; "
        f"the paper: {energy['paper']} mJ ({energy['paper_network']} on {energy['paper_data']})",
    ]
