"""``saformer costs``: how cycles grow with the firing rate, and with the number of tokens."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from golden.errors import SaformerError
from hw.config import load_hardware
from scripts.estimate import HardwareName
from scripts.figures import Series, curves, ensure_figure, save
from scripts.inputs import JsonFile
from scripts.outputs import ensure_writable, write_json
from scripts.points import evaluate
from scripts.resume import ResultsFile, run_points
from scripts.sweep import executor_for, read_values
from scripts.tables import console, integer, table

ATTENTION = (".q", ".k", ".proj")
"""Layers of a block that make its attention: mixing goes on beside the latter two."""


def costs(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An untrained network: a name or a TOML file.")
    ] = "4-384",
    hardware: HardwareName = "default",
    percents: Annotated[str, typer.Option("--rates", metavar="P,P,..", help="Firing rates in percent.")] = (
        "2,4,8,15,30,45,60"
    ),
    sizes: Annotated[str, typer.Option(metavar="N,N,..", help="Sides of the image in pixels.")] = "16,32,48,64,80,96",
    simulate: Annotated[bool, typer.Option("--simulate", help="Run the RTL too, and compare it.")] = False,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="Processes on this machine.")] = 1,
    results: Annotated[Path, typer.Option(metavar="FILE", help="Finished points.")] = Path("costs.jsonl"),
    rate_plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Plot cycles against the firing rate.")] = None,
    size_plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Plot cycles against the tokens.")] = None,
    json: JsonFile = None,
) -> None:
    """Show what decides the cycles of a network: its events, not its dense size.

    At a fixed shape all neurons fire at one rate after the other; at realistic rates the image grows, and the tokens
    with it, while the number of attention windows stays. Events are counted in runs of the integer model.
    """
    ensure_writable(json, results)
    for path in (rate_plot, size_plot):
        ensure_figure(path)
    base = {
        "model": model,
        "changes": {},
        "percent": None,
        "hardware": dataclasses.asdict(load_hardware(hardware)),
        "images": 1,
        "data": None,
        "rate": None,
        "latency": 32,
        "bandwidth": 1.0,
        "simulate": simulate,
    }
    rated = [base | {"percent": percent} for percent in read_values("rates", percents)]
    sized = [base | {"changes": {"image_size": size}} for size in read_values("sizes", sizes)]
    dense = [base | {"rate": 1.0, "simulate": False}]
    with executor_for(workers, None) as executor:
        found = run_points([*rated, *sized, *dense], evaluate, ResultsFile(results), executor, what="costs")
    if errors := [result["error"] for result in found if "error" in result]:
        raise SaformerError(errors[0])
    by_rate, by_size, full = found[: len(rated)], found[len(rated) : -1], found[-1]
    if json is not None:
        write_json(json, {"rates": by_rate, "sizes": by_size, "dense": full})
    if rate_plot is not None:
        save(curves(_rate_series(by_rate, full), x="firing rate of all neurons, %", y="million cycles"), rate_plot)
    if size_plot is not None:
        save(curves(_size_series(by_size), x="tokens N", y="thousand cycles a block"), size_plot)
    _print(by_rate, by_size, full)


def attention_cycles(cycles: dict[str, float]) -> float:
    """Return the cycles of attention in a block: the mean over the blocks, from cycles by the layer's name."""
    blocks = len({name.split(".")[1] for name in cycles if name.startswith("blocks.")})
    return sum(value for name, value in cycles.items() if name.endswith(ATTENTION)) / blocks


def mlp_cycles(cycles: dict[str, float]) -> float:
    """Return the cycles of the two linear layers of the MLP in a block, likewise."""
    blocks = len({name.split(".")[1] for name in cycles if name.startswith("blocks.")})
    return sum(value for name, value in cycles.items() if name.endswith((".fc1", ".fc2"))) / blocks


def _rate_series(found: Sequence[dict], full: dict) -> list[Series]:
    """Return cycles against the rate: estimated, simulated, and the same for all inputs firing."""
    points = [(100 * result["firing_rate"], result["cycles"] / 1e6, False) for result in found]
    last = max(point[0] for point in points)
    series = [
        Series(name="estimated from events", points=points),
        Series(name="every input fires (estimated)", points=[(x, full["cycles"] / 1e6, False) for x in (0, last)]),
    ]
    simulated = [
        (100 * result["firing_rate"], result["rtl_cycles"] / 1e6, True) for result in found if "rtl_cycles" in result
    ]
    return series + ([Series(name="RTL", points=simulated)] if simulated else [])


def _size_series(found: Sequence[dict]) -> list[Series]:
    """Return the cycles of a block against the tokens: attention and MLP, estimated and simulated."""
    series = []
    for what, cycles in (("attention (Q, K, mixing, projection)", attention_cycles), ("MLP", mlp_cycles)):
        points = [(result["tokens"], cycles(result["layers"]) / 1e3, False) for result in found]
        series.append(Series(name=f"{what}, estimated", points=points))
        simulated = [
            (result["tokens"], cycles(result["rtl_layers"]) / 1e3, True) for result in found if "rtl_layers" in result
        ]
        if simulated:
            series.append(Series(name=f"{what}, RTL", points=simulated))
    return series


def _print(by_rate: Sequence[dict], by_size: Sequence[dict], full: dict) -> None:
    """Print both tables."""
    out = console()
    rtl = ("RTL",) if "rtl_cycles" in by_rate[0] else ()
    rows = [
        (
            f"{100 * result['firing_rate']:.1f} %",
            integer(result["cycles"]),
            *(integer(result["rtl_cycles"]) for _ in rtl),
            f"{1e3 * result['cycles'] / result['sops']:.3f}",
        )
        for result in by_rate
    ]
    rows.append(("all fire", integer(full["cycles"]), *("" for _ in rtl), f"{1e3 * full['cycles'] / full['sops']:.3f}"))
    out.print(table(("firing rate", "cycles", *rtl, "cycles/1000 accumulates"), rows))
    rows = [
        (
            integer(result["tokens"]),
            integer(attention_cycles(result["layers"])),
            *(integer(attention_cycles(result["rtl_layers"])) for _ in rtl),
            f"{attention_cycles(result['layers']) / result['tokens']:.1f}",
            f"{mlp_cycles(result['layers']) / result['tokens']:.1f}",
        )
        for result in by_size
    ]
    out.print(table(("tokens", "attention, cycles a block", *rtl, "a token", "MLP, a token"), rows))
