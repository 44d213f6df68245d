"""``saformer scaling``: how the cycles of the accelerator grow with the firing rate, and with the number of tokens."""

import dataclasses
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer

from golden.calibrate import init_model
from golden.config import ModelConfig, load_config
from golden.data import fit_images, load_bundled
from golden.errors import SaformerError
from golden.integer import IntegerModel
from hw.compile.fit import fit
from hw.config import HardwareConfig, load_hardware
from hw.estimate.timelines import ExternalMemory
from scripts.bench import read_values
from scripts.cosim import DIFFERENT
from scripts.inputs import FinishedPoints, JsonFile
from scripts.outputs import ensure_writable, write_json, write_text
from scripts.plots import growth
from scripts.resume import ResultsFile, run_points
from scripts.tables import console, integer, percent, table
from sim.cosim import cosim
from sim.results import CosimResult
from sim.simulate import Simulator

BANDWIDTH = 16.0
"""Bytes a cycle of the external memory: what grows here is to be the work, and not the waiting for weights."""

CURRENT_BITS = 26
"""Width of currents that the sum over 512 tokens fits into."""


def scaling(
    config: Annotated[
        str, typer.Argument(metavar="CONFIG", help="Network: a configuration's name, or a TOML file.")
    ] = ("tiny"),
    hardware: Annotated[
        str, typer.Option("--hw", metavar="CONFIG", help="Hardware, whose memories are fitted: a name or a TOML file.")
    ] = "default",
    rates: Annotated[
        str, typer.Option(metavar="N,N,..", help="Firing rates of all neurons, per cent.")
    ] = "1,2,5,10,20,30,40,50,60",
    sizes: Annotated[
        str, typer.Option(metavar="N,N,..", help="Sides of the image in pixels, at the rates of a trained network.")
    ] = "16,32,48,64",
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Seed of the random weights.")] = 0,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the cycles as SVG.")] = None,
    results: FinishedPoints = Path("scaling.jsonl"),
    json: JsonFile = None,
) -> None:
    """Simulate a network at several firing rates, and at several image sizes, and compare it with the integer model.

    The weights are random and the thresholds calibrated (as by `saformer init`), so that the neurons fire at the rate
    wanted; all points run on the same hardware. Exits with 1 if any point is not bit-exact.
    """
    ensure_writable(json, plot, results)
    network, base = load_config(config), load_hardware(hardware)
    common = {"network": network.to_dict(), "seed": seed}
    points = [{"percent": rate, "image_size": network.image_size, **common} for rate in read_values("rates", rates)]
    points += [{"percent": None, "image_size": size, **common} for size in read_values("sizes", sizes)]
    base = dataclasses.replace(base, current_bits=max(base.current_bits, CURRENT_BITS))
    fitted = dataclasses.asdict(fit([_model(point) for point in points], base))
    points = [point | {"hardware": fitted} for point in points]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        found = run_points(points, evaluate, ResultsFile(results), executor, what="scaling")
    if json is not None:
        write_json(json, {"points": found})
    if plot is not None:
        write_text(plot, growth(*_series(found)))
    _print(found)
    if not all(row["bit_exact"] for row in found):
        raise typer.Exit(DIFFERENT)


def _model(point: dict) -> IntegerModel:
    """Return the network of a point. Raises SaformerError for an image size or a rate that it cannot have."""
    rate = point["percent"]
    if rate is not None and not 1 <= rate <= 99:
        raise SaformerError(f"a firing rate must be from 1 to 99 per cent, not {rate}")
    config = ModelConfig.from_dict(point["network"] | {"image_size": point["image_size"]})
    return init_model(config, seed=point["seed"], percent=rate)


@lru_cache(maxsize=1)
def _simulator(config: HardwareConfig) -> Simulator:
    """The accelerator, for all points that this process runs."""
    return Simulator(config=config, memory=ExternalMemory(bandwidth=BANDWIDTH))


def evaluate(point: dict) -> dict:
    """Return the figures of a point: ``percent`` (None for calibrated rates), ``image_size``, ``network`` (its other
    settings), ``seed`` and ``hardware`` (the fields of a configuration)."""
    model = _model(point)
    images = fit_images(load_bundled().images[:1], channels=model.config.in_channels, size=model.config.image_size)
    config = HardwareConfig(**point["hardware"])
    result = cosim(model, images, [0], config=config, engine=_simulator(config))
    return figures(result, model.config, point["percent"])


def figures(result: CosimResult, config: ModelConfig, rate: int | None) -> dict:
    """Return what a comparison of one image says; ``mean_rate`` is the mean of the layers behind conv1."""
    spiking = [layer for layer in result.layers if layer.kind == "event" and layer.name != "conv1"]
    return {
        "percent": rate,
        "image_size": config.image_size,
        "tokens": config.tokens,
        "bit_exact": result.bit_exact,
        "mean_rate": sum(layer.firing_rate for layer in spiking) / len(spiking),
        "cycles": result.cycles[0],
        "ideal_cycles": sum(layer.ideal_cycles for layer in result.layers),
        "accumulates": sum(layer.sops_golden for layer in result.layers),
        "dense_operations": result.dense_operations,
    }


def _series(rows: list[dict]) -> tuple[list[dict], list[dict]]:
    """Return the points of different rates, and those of different sizes, in order."""
    by_rate = sorted((row for row in rows if row["percent"] is not None), key=lambda row: row["mean_rate"])
    return by_rate, sorted((row for row in rows if row["percent"] is None), key=lambda row: row["tokens"])


def _print(rows: list[dict]) -> None:
    """Print a line for every point."""
    cells = [
        (
            "" if row["percent"] is None else f"{row['percent']} %",
            integer(row["tokens"]),
            percent(row["mean_rate"]),
            "yes" if row["bit_exact"] else "NO",
            integer(row["cycles"]),
            percent(row["cycles"] / row["ideal_cycles"] - 1),
            integer(row["accumulates"]),
            integer(row["dense_operations"]),
        )
        for series in _series(rows)
        for row in series
    ]
    columns = ("wanted", "tokens", "rate", "exact", "cycles", "above ideal", "accumulates", "dense operations")
    console().print(table(columns, cells))
