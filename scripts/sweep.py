"""``saformer sweep``: many hardware sizes and networks, estimated or simulated, side by side."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer

from golden.errors import SaformerError
from hw.config import load_hardware
from scripts.estimate import LIMITS, Bandwidth, HardwareName, Latency
from scripts.figures import Series, ensure_figure, save, scatter
from scripts.inputs import DataFolder, JsonFile
from scripts.outputs import ensure_writable, write_json
from scripts.points import HARDWARE_AXES, evaluate
from scripts.resume import ResultsFile, run_points
from scripts.tables import console, integer, percent, table

TIMEOUT = 10
"""Seconds in which a Dask scheduler must answer."""

Values = Annotated[str | None, typer.Option(metavar="N,N,..")]


def sweep(
    models: Annotated[list[str] | None, typer.Argument(metavar="MODEL...", help="Networks, as for cosim.")] = None,
    hardware: HardwareName = "default",
    lanes: Values = None,
    timesteps: Values = None,
    beat_channels: Values = None,
    weight_depth: Values = None,
    fifo_depth: Values = None,
    bus_bytes: Values = None,
    weight_bits: Values = None,
    images: Annotated[int, typer.Option(metavar="K", min=1, help="Images whose events are counted.")] = 1,
    data: DataFolder = None,
    rate: Annotated[
        float | None, typer.Option(metavar="R", help="Firing rate of all layers, in place of images.")
    ] = None,
    latency: Latency = 32,
    bandwidth: Bandwidth = 1.0,
    simulate: Annotated[bool, typer.Option("--simulate", help="Run the RTL too, and compare it.")] = False,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="Processes on this machine.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Run on a Dask cluster, such as tcp://host:8786, instead.")
    ] = None,
    results: Annotated[
        Path, typer.Option(metavar="FILE", help="Finished points; a sweep that was cut off goes on from there.")
    ] = Path("sweep.jsonl"),
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Plot cycles against area, SVG or PNG.")] = None,
    json: JsonFile = None,
) -> None:
    """Estimate every combination of hardware sizes and networks; show which of them nothing beats.

    Memories, accumulators and passes are fitted to the network. Weight bits below the model's own need an untrained
    model; they narrow the accumulators, while a weight stays a byte in memory.
    """
    ensure_writable(json, results)
    ensure_figure(plot)
    axes = {
        "lanes": lanes,
        "timesteps": timesteps,
        "beat_channels": beat_channels,
        "weight_depth": weight_depth,
        "fifo_depth": fifo_depth,
        "bus_bytes": bus_bytes,
    }
    points = design_space(
        models or ["tiny"],
        base=dataclasses.asdict(load_hardware(hardware)),
        axes={name: read_values(name, text) for name, text in axes.items() if text is not None},
        weight_bits=read_values("weight_bits", weight_bits) if weight_bits is not None else [None],
        common={
            "images": images,
            "data": str(data.resolve()) if data else None,
            "rate": rate,
            "percent": None,
            "latency": latency,
            "bandwidth": bandwidth,
            "simulate": simulate,
        },
    )
    store = ResultsFile(results)
    with executor_for(workers, scheduler) as executor:
        found = run_points(points, evaluate, store, executor, what="sweep")
    rows = [point | {"result": result} for point, result in zip(points, found, strict=True)]
    if all("error" in row["result"] for row in rows):
        raise SaformerError(f"no point is possible: {rows[0]['result']['error']}")
    mark_best(rows)
    if json is not None:
        write_json(json, {"points": rows})
    if plot is not None:
        save(scatter(_series(rows), x="LUT4, estimated, thousands", y="cycles an image, millions"), plot)
    _print(rows)


def read_values(name: str, text: str) -> list[int]:
    """Return the numbers of a list such as 32,64. Raises SaformerError when it is none."""
    try:
        values = [int(part) for part in text.split(",")]
    except ValueError:
        raise SaformerError(f"{name.replace('_', '-')} must be numbers such as 32,64, not {text!r}") from None
    return list(dict.fromkeys(values))


def design_space(
    models: Sequence[str],
    *,
    base: dict,
    axes: dict[str, list[int]],
    weight_bits: Sequence[int | None],
    common: dict,
) -> list[dict]:
    """Return the points (`scripts.points.evaluate`) of every combination; ``base`` has the sizes that do not vary."""
    return [
        {
            "model": model,
            "changes": {} if bits is None else {"weight_bits": bits},
            "hardware": base | dict(zip(axes, values, strict=True)),
            **common,
        }
        for model in dict.fromkeys(models)
        for bits in weight_bits
        for values in itertools.product(*axes.values())
    ]


@contextmanager
def executor_for(workers: int, scheduler: str | None) -> Iterator[Executor]:
    """Yield what runs the points: processes on this machine, or a Dask cluster.

    Raises SaformerError when the cluster cannot be reached, or Dask is not installed.
    """
    if scheduler is None:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
            yield executor
        return
    try:
        from distributed import Client
    except ImportError:
        raise SaformerError("--scheduler needs Dask: install saformer with the extra `cluster`") from None
    try:
        client = Client(scheduler, timeout=TIMEOUT)
    except (OSError, ValueError) as error:
        raise SaformerError(f"no Dask scheduler at {scheduler} ({error}): start one, or use --workers") from None
    with client:
        yield client.get_executor()


def mark_best(rows: Sequence[dict]) -> None:
    """Set ``best`` in every row: whether no other of its network has fewer cycles and no more LUTs, or the reverse."""
    for row in rows:
        rivals = [other for other in rows if other["model"] == row["model"] and "error" not in other["result"]]
        row["best"] = "error" not in row["result"] and not any(_beats(other, row) for other in rivals)


def _beats(one: dict, other: dict) -> bool:
    mine, its = ((row["result"]["cycles"], row["result"]["luts"]) for row in (one, other))
    return mine != its and mine[0] <= its[0] and mine[1] <= its[1]


def _series(rows: Sequence[dict]) -> list[Series]:
    """Return the points of every network, for the plot."""
    return [
        Series(
            name=model,
            points=[
                (row["result"]["luts"] / 1e3, row["result"]["cycles"] / 1e6, row["best"])
                for row in rows
                if row["model"] == model and "error" not in row["result"]
            ],
        )
        for model in dict.fromkeys(row["model"] for row in rows)
    ]


def _print(rows: Sequence[dict]) -> None:
    """Print every point, the best marked, and the ones that are not possible."""
    out = console()
    varied = [name for name in HARDWARE_AXES if len({row["hardware"][name] for row in rows}) > 1]
    possible = [row for row in rows if "error" not in row["result"]]
    cells = [
        (
            row["model"] + "".join(f", {bits} bits" for bits in row["changes"].values()),
            *(integer(row["hardware"][name]) for name in varied),
            integer(row["result"]["cycles"]),
            percent(row["result"]["cycles"] / row["result"]["ideal_cycles"] - 1),
            *((integer(row["result"]["rtl_cycles"]),) if "rtl_cycles" in row["result"] else ()),
            integer(row["result"]["luts"]),
            integer(row["result"]["block_rams"]),
            f"{1e3 * row['result']['sops'] / row['result']['cycles'] / row['result']['luts']:.2f}",
            LIMITS[row["result"]["limit"]],
            "*" if row["best"] else "",
        )
        for row in possible
    ]
    simulated = ("RTL",) if possible and "rtl_cycles" in possible[0]["result"] else ()
    columns = ("model", *varied, "cycles", "above ideal", *simulated, "LUT4", "RAMs", "acc/cycle/kLUT", "limit", "best")
    out.print(table(columns, cells))
    out.print("LUT4 and block RAMs by the area model; * nothing of its network is both faster and smaller")
    for row in rows:
        if "error" in row["result"]:
            sizes = ", ".join(f"{name} {row['hardware'][name]}" for name in varied)
            out.print(
                f"not possible: {row['model']}{', ' + sizes if sizes else ''}: {row['result']['error']}", soft_wrap=True
            )
