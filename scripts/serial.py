"""The serial accelerator's part of ``saformer cosim``."""

from functools import reduce
from operator import add
from pathlib import Path

import typer

from golden.data import ImageSet
from golden.evaluate import energy_record
from hw.compile.serial import lower_serial
from hw.serial.config import SerialConfig
from scripts.inputs import NamedModel
from scripts.outputs import write_json
from scripts.tables import bars, console, integer, millijoule, recognised, table
from sim.serial import SerialRun, SerialSimulator, compare_image

DIFFERENT = 1
"""Exit status when the hardware and the integer model differ."""


def run_serial(
    named: NamedModel, chosen: ImageSet, config: SerialConfig, *, stall: float, json: Path | None, trace: Path | None
) -> None:
    """Run images on the simulated serial accelerator and compare them, print the figures and write them as JSON.

    Raises typer.Exit with `DIFFERENT` when something differs, and SaformerError for a model that does not fit.
    """
    lowered = lower_serial(named.model, config)
    with bars() as progress, SerialSimulator(lowered, stall=stall, trace=trace) as simulator:
        images = progress.track(chosen.images.split(1), description="images")
        runs = [compare_image(named.model, simulator, image) for image in images]
        speed = simulator.native.cycles_per_second
    figures = summarise(named, chosen, config, runs) | {
        "program_bytes": lowered.program.size,
        "cycles_per_second": speed,
    }
    if json is not None:
        write_json(json, figures)
    _print(named, config, figures)
    if not figures["bit_exact"]:
        raise typer.Exit(DIFFERENT)


def summarise(named: NamedModel, chosen: ImageSet, config: SerialConfig, runs: list[SerialRun]) -> dict:
    """Return the figures of some runs: sums over the images, means where the name says so."""
    labels, count = chosen.labels.tolist(), len(runs)
    mismatches = [f"image {number}, {text}" for number, run in enumerate(runs) for text in run.mismatches]
    cycles, sops = sum(run.cycles for run in runs), sum(run.sops for run in runs)
    layers = [
        {"name": parts[0].name}
        | {field: sum(getattr(part, field) for part in parts) for field in ("cycles", "events", "sops", "saturations")}
        for parts in zip(*(run.layers for run in runs), strict=True)
    ]
    return {
        "model": named.name,
        "hardware": config.name,
        "images": count,
        "bit_exact": not mismatches,
        "mismatches": mismatches,
        "predictions": [run.prediction for run in runs],
        "accuracy": sum(run.prediction == label for run, label in zip(runs, labels, strict=True)) / count,
        "cycles_per_image": cycles / count,
        "sops": sops,
        "sops_per_image": sops / count,
        "accumulates_per_cycle": sops / cycles,
        "accumulates_per_cycle_and_lane": sops / cycles / config.lanes,
        "layers": layers,
        "energy_mj": energy_record(named.model.config, reduce(add, (run.counts for run in runs))),
    }


def _print(named: NamedModel, config: SerialConfig, figures: dict) -> None:
    """Print the layers, the mismatches if there are any, and the summary."""
    out, count = console(), figures["images"]
    rows = [
        (layer["name"], *(integer(layer[field] / count) for field in ("events", "sops", "cycles")))
        for layer in figures["layers"]
    ]
    out.print(table(("layer", "events", "accumulates", "cycles"), rows))
    for mismatch in figures["mismatches"]:
        out.print(f"mismatch    {mismatch}", soft_wrap=True)
    verdict = "bit-exact" if figures["bit_exact"] else f"NOT equal: {len(figures['mismatches'])} differences"
    for line in (
        f"model       {named.name}; counts and cycles are per image",
        f"hardware    {config.name}: one timestep after the other on {config.lanes} lanes",
        f"comparison  {verdict}: spikes, residual stream, logits and counters of {integer(count)} images",
        f"accuracy    {recognised(figures['accuracy'])} on these images" + ("" if named.trained else " (untrained)"),
        f"cycles      {integer(figures['cycles_per_image'])} per image; "
        f"simulated at {integer(figures['cycles_per_second'])} cycles a second",
        f"work        {figures['accumulates_per_cycle']:.2f} accumulates a cycle, "
        f"{figures['accumulates_per_cycle_and_lane']:.2f} for each lane",
        f"memory      {integer(figures['program_bytes'])} bytes of program, all on the chip",
        f"energy      {millijoule(figures['energy_mj']['eq19'])} per image by eq. 19",
    ):
        out.print(line, soft_wrap=True)
