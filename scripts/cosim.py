"""``saformer cosim``: a network on the simulated accelerator, compared with the integer model."""

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from golden.errors import SaformerError
from hw.compile.choose import lower_for
from hw.compile.image import matching_image, pack_image
from hw.compile.lowering import Lowered
from hw.config import AUTOMATIC, HARDWARE
from hw.estimate.timelines import ExternalMemory
from hw.serial.config import SERIAL, load_serial
from scripts.inputs import (
    DataFolder,
    FirstImage,
    ImageCount,
    JsonFile,
    ModelName,
    NamedModel,
    RandomFrames,
    load_images,
    resolve_model,
)
from scripts.outputs import ensure_writable, write_json, write_text
from scripts.progress import ProgressBar
from scripts.query import Query, QueryOption, describe_query, query_cycles
from scripts.report import ReportInput, render
from scripts.serial import DIFFERENT, run_serial
from scripts.tables import console, integer, millijoule, percent, recognised, table
from sim.cocotb_engine import CocotbEngine
from sim.cosim import cosim as run_cosim
from sim.simulate import Engine, Simulator, dense_cycles

DEFAULT_MEMORY = ExternalMemory()

HardwareOption = Annotated[
    str | None,
    typer.Option(
        "--hw",
        metavar="CONFIG",
        help=f"Sizes of the accelerator: {', '.join(HARDWARE)}, or a TOML file; without it the first of "
        f"{', '.join(AUTOMATIC)} that the model fits. Of the serial accelerator: {', '.join(SERIAL)}.",
    ),
]
Latency = Annotated[
    int,
    typer.Option("--memory-latency", metavar="N", help="External memory: cycles from a request to its first word."),
]
Bandwidth = Annotated[
    float,
    typer.Option(
        "--memory-bandwidth",
        metavar="B",
        help="External memory: bytes in a cycle; 1.94 is a 16-bit SDR SDRAM at the core's clock.",
    ),
]

SHOWN = 10
"""Most mismatches that are printed."""

SMALL = 20_000
"""Networks that take at most so many cycles run under cocotb where no engine is named: they end sooner than a second
simulator builds."""


class EngineName(StrEnum):
    """How the design is simulated."""

    NATIVE = "native"
    COCOTB = "cocotb"


def cosim(
    model: ModelName = "tiny",
    images: ImageCount = 1,
    first: FirstImage = 0,
    data: DataFolder = None,
    random: RandomFrames = False,
    hardware: HardwareOption = None,
    image: Annotated[
        Path | None,
        typer.Option("--image", metavar="FILE", help="Run this program image instead of lowering the model."),
    ] = None,
    engine: Annotated[
        EngineName | None,
        typer.Option(help="Simulate as a native library (by default, unless the network is very small) or in cocotb."),
    ] = None,
    query: QueryOption = Query.POOLED,
    latency: Latency = DEFAULT_MEMORY.latency,
    bandwidth: Bandwidth = DEFAULT_MEMORY.bandwidth,
    stall: Annotated[
        float,
        typer.Option(
            "--memory-stall",
            metavar="P",
            min=0,
            max=0.99,
            help="Probability of a random pause of the memory, and of the pixels.",
        ),
    ] = 0.0,
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
    memory = ExternalMemory(latency=latency, bandwidth=bandwidth)
    named, pooled = resolve_model(model), query is Query.POOLED
    if hardware is not None and (serial := load_serial(hardware)) is not None:
        unused = {"--image": image, "--engine cocotb": engine is EngineName.COCOTB, "--report": report}
        if wanted := [option for option, given in unused.items() if given]:
            raise SaformerError(
                f"{wanted[0]} is not for the serial accelerator, which has no memory outside: leave it out"
            )
        chosen = load_images(named.model.config, data, first=first, count=images, random=random)
        run_serial(named, chosen, serial, stall=stall, json=json, trace=trace)
        return
    lowered = lower_for(named.model, hardware, pooled_query=pooled)
    config = lowered.config
    chosen = load_images(named.model.config, data, first=first, count=images, random=random)
    content = pack_image(lowered) if image is None else matching_image(image, lowered)
    with (
        ProgressBar(lowered=lowered, images=images) as bar,
        _engine(engine, lowered, memory=memory, stall=stall, trace=trace) as runner,
    ):
        result = run_cosim(
            named.model,
            chosen.images,
            chosen.labels,
            config=config,
            engine=runner,
            lowered=lowered,
            image=content,
            pooled_query=pooled,
            progress=bar.show,
        )
    figures = result.to_json()
    figures["query"] = query_cycles(
        named.model,
        lowered,
        ran=query,
        cycles=result.cycles[0],
        trace=result.first,
        image=chosen.images[:1].numpy(),
        memory=memory,
    )
    if json is not None:
        write_json(json, figures)
    if report is not None:
        source = ReportInput(
            figures=figures,
            images=chosen,
            named=named,
            hardware=config,
            trace=result.first,
            hashes={"model, SHA-256": named.digest, "program image, SHA-256": hashlib.sha256(content).hexdigest()},
        )
        write_text(report, render(source))
    _print(named, config.name, figures)
    if report is not None:
        console().print(f"report      {report}")
    if not figures["bit_exact"]:
        raise typer.Exit(DIFFERENT)


def _engine(
    name: EngineName | None, lowered: Lowered, *, memory: ExternalMemory, stall: float, trace: Path | None
) -> Engine:
    """Return the named engine; the native one if none is named, unless the network is very small.

    Raises SaformerError when the design does not build, or cocotb is to write a waveform.
    """
    small = dense_cycles(lowered) <= SMALL and trace is None
    if name is EngineName.NATIVE or (name is None and not small):
        return Simulator(config=lowered.config, memory=memory, stall=stall, trace=trace)
    if trace is not None:
        raise SaformerError("only the native engine writes waveforms: leave out --engine cocotb")
    return CocotbEngine(config=lowered.config, memory=memory, stall=stall)


def _print(named: NamedModel, hardware: str, figures: dict) -> None:
    """Print the layers, the mismatches if there are any, and the summary."""
    out, count, layers = console(), figures["images"], figures["layers"]
    energy = figures["energy_mj"]["eq19_layers"]
    columns = ("layer", "input rate", "accumulates, model", "RTL", "cycles", "ideal", "above", "energy")
    rows = [
        (
            layer["name"],
            percent(layer["firing_rate"]),
            integer(layer["sops_golden"] / count),
            integer(layer["sops_rtl"] / count),
            layer["note"] or integer(layer["cycles"] / count),
            integer(layer["ideal_cycles"] / count) if layer["ideal_cycles"] else "",
            f"{100 * (layer['cycles'] / layer['ideal_cycles'] - 1):.1f} %" if layer["ideal_cycles"] else "",
            millijoule(energy.get(layer["name"], 0.0)),
        )
        for layer in layers
    ]
    out.print(table(columns, rows))
    print_mismatches(out, figures)
    for line in summary(named, hardware, figures):
        out.print(line, soft_wrap=True)


def print_mismatches(out: Console, figures: dict) -> None:
    """Print the first mismatches, and how many more there are."""
    mismatches = figures["mismatches"]
    for mismatch in mismatches[:SHOWN]:
        out.print(f"mismatch    {mismatch}", soft_wrap=True)
    if len(mismatches) > SHOWN:
        out.print(f"            and {len(mismatches) - SHOWN} more")


def verdict(figures: dict) -> str:
    """Return how the hardware compares with the integer model."""
    return "bit-exact" if figures["bit_exact"] else f"NOT equal: {len(figures['mismatches'])} differences"


def summary(named: NamedModel, hardware: str, figures: dict) -> list[str]:
    """Return the last lines of the output: what was compared, and what came out."""
    energy, count = figures["energy_mj"], figures["images"]
    fetched = sum(figures["bus_bytes"]) / count
    return [
        f"model       {named.name}; counts, cycles and energy are per image",
        f"hardware    {hardware}",
        f"comparison  {verdict(figures)}: spikes, residual stream, logits and counters of {integer(count)} images",
        f"accuracy    {recognised(figures['accuracy'])} on these images" + ("" if named.trained else " (untrained)"),
        f"cycles      {integer(figures['cycles_per_image'])} per image; "
        f"simulated at {integer(figures['cycles_per_second'])} cycles a second",
        *([f"query       {describe_query(figures['query'])}"] if figures["query"] else []),
        f"work        {figures['accumulates_per_cycle']:.1f} accumulates a cycle, "
        f"{figures['accumulates_per_cycle_and_lane']:.2f} for each lane; "
        f"dense-equivalent, not executed: {figures['dense_equivalent_per_cycle']:.1f} a cycle",
        f"memory      {integer(figures['image_bytes'])} bytes of program, {integer(fetched)} read per image; "
        f"the engine waited for them in {integer(figures['waiting_cycles'])} cycles",
        f"energy      {millijoule(energy['eq19'])} per image by eq. 19; "
        f"the paper: {energy['paper']} mJ ({energy['paper_network']} on {energy['paper_data']})",
    ]
