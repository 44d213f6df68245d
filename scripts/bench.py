"""``saformer bench``: the simulated accelerator at several sizes on the networks of the paper."""

import dataclasses
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer

from golden.errors import SaformerError
from hw.compile.fit import fit
from hw.compile.lowering import lower
from hw.config import HardwareConfig, load_hardware
from hw.estimate.costs import Estimate
from hw.estimate.inference import estimate_image
from hw.estimate.timelines import ExternalMemory
from hw.synth.devices import find_device
from hw.synth.flow import synthesise
from scripts.cosim import DEFAULT_MEMORY, DIFFERENT, Bandwidth, Latency
from scripts.inputs import DataFolder, FinishedPoints, JsonFile, load_images, resolve_model
from scripts.outputs import ensure_writable, write_json
from scripts.resume import ResultsFile, run_points
from scripts.synth import design_rtlil
from scripts.tables import console, integer, percent, table
from sim.cosim import cosim
from sim.results import CosimResult
from sim.simulate import Simulator

MODELS = ("tiny", "4-384", "2-256")
BUS_SHARE = 8
"""Lanes for each byte of the weight bus, at least: a row of weights arrives in about so many cycles."""


def bench(
    models: Annotated[list[str] | None, typer.Argument(metavar="MODEL...", help="Networks, as for cosim.")] = None,
    hardware: Annotated[
        str, typer.Option("--hw", metavar="CONFIG", help="Hardware whose sizes are varied: a name or a TOML file.")
    ] = "default",
    lanes: Annotated[
        str, typer.Option(metavar="N,N,..", help="Lanes; the weight bus grows with them.")
    ] = "16,32,64,128,256",
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Synthesise every size for this device too, and count LUTs: takes minutes."),
    ] = None,
    images: Annotated[int, typer.Option(metavar="K", min=1, help="Images for each network.")] = 1,
    data: DataFolder = None,
    latency: Latency = DEFAULT_MEMORY.latency,
    bandwidth: Bandwidth = DEFAULT_MEMORY.bandwidth,
    results: FinishedPoints = Path("bench.jsonl"),
    json: JsonFile = None,
) -> None:
    """Run every network (tiny, 4-384 and 2-256 by default) on every number of lanes, compare, and measure.

    Networks that take as many passes run on the same hardware, whose memories are fitted to them. Each point runs in a
    process of its own, for its peak memory. Exits with 1 if any point is not bit-exact.
    """
    ensure_writable(json, results)
    names, base = list(dict.fromkeys(models or MODELS)), load_hardware(hardware)
    common = {
        "images": images,
        "data": str(data.resolve()) if data else None,
        "latency": latency,
        "bandwidth": bandwidth,
        "device": device and find_device(device).name,
    }
    points = [
        {"model": name, "beside": beside, "hardware": dataclasses.asdict(sized), **common}
        for sized in (_with_lanes(base, count) for count in read_values("lanes", lanes))
        for name, beside in _companions(names, base.timesteps).items()
    ]
    store = ResultsFile(results)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as executor:
        found = run_points(points, evaluate, store, executor, what="benchmark")
    rows = [
        {"model": point["model"], "lanes": point["hardware"]["lanes"]} | figures
        for point, figures in zip(points, found, strict=True)
    ]
    if json is not None:
        write_json(json, {"points": rows})
    _print(rows)
    if not all(row["bit_exact"] for row in rows):
        raise typer.Exit(DIFFERENT)


def read_values(name: str, text: str) -> list[int]:
    """Return the numbers of a list such as 32,64. Raises SaformerError when it is none."""
    try:
        values = [int(part) for part in text.split(",")]
    except ValueError:
        raise SaformerError(f"{name.replace('_', '-')} must be numbers such as 32,64, not {text!r}") from None
    return list(dict.fromkeys(values))


def _with_lanes(base: HardwareConfig, lanes: int) -> HardwareConfig:
    """Return hardware with other lanes, and a bus in proportion, which is a power of two."""
    share = max(4, lanes // BUS_SHARE)
    return dataclasses.replace(base, lanes=lanes, bus_bytes=1 << share.bit_length() - 1)


def _companions(names: Sequence[str], timesteps: int) -> dict[str, list[str]]:
    """Return for every network those that share its hardware: they take as many passes."""
    passes = {name: -(-resolve_model(name).model.config.timesteps // timesteps) for name in names}
    return {name: [other for other in names if passes[other] == passes[name]] for name in names}


def evaluate(point: dict) -> dict:
    """Return the figures of a network on hardware: ``model``, ``beside`` (networks that the hardware is fitted to),
    ``hardware`` (the fields of a configuration), ``images``, ``data``, ``latency``, ``bandwidth`` and ``device``."""
    named = resolve_model(point["model"])
    config = fit([resolve_model(name).model for name in point["beside"]], HardwareConfig(**point["hardware"]))
    memory = ExternalMemory(latency=point["latency"], bandwidth=point["bandwidth"])
    images = load_images(named.model.config, Path(point["data"]) if point["data"] else None, count=point["images"])
    begin = time.monotonic()
    with Simulator(config=config, memory=memory) as engine:
        built = time.monotonic()
        result = cosim(named.model, images.images, images.labels, config=config, engine=engine)
    done = time.monotonic()
    expected = estimate_image(lower(named.model, config), result.first, images.images[:1].numpy(), memory)
    return {
        **figures(result, expected, config, luts=count_luts(config, point["device"]) if point["device"] else None),
        "model_sha256": named.digest,
        "images": len(images),
        "build_seconds": built - begin,
        "run_seconds": done - built,
        # The unit is kilobytes, on Linux.
        "peak_memory_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


def count_luts(config: HardwareConfig, device: str) -> int:
    """Return the LUTs of the accelerator on a device, after synthesis."""
    target = find_device(device)
    return target.usage(synthesise(design_rtlil(config, target)[0], target).cells)["lut"]


def figures(result: CosimResult, expected: Estimate, config: HardwareConfig, *, luts: int | None = None) -> dict:
    """Return what a comparison says of the hardware; ``expected`` is the estimate of the first image, ``luts`` what the
    hardware takes on a device, if that is known."""
    values, count = result.to_json(), len(result.labels)
    ideal = sum(layer.ideal_cycles for layer in result.layers) / count
    kept = (
        "bit_exact",
        "mismatches",
        "accuracy",
        "cycles_per_image",
        "cycles_per_second",
        "image_bytes",
        "bus_bytes",
        "accumulates_per_cycle",
        "accumulates_per_cycle_and_lane",
        "accumulates_per_cycle_and_adder",
        "dense_equivalent_per_cycle",
    )
    return {
        **{name: values[name] for name in kept},
        "ideal_cycles": ideal,
        "estimated_cycles": expected.cycles,
        "estimate_error": expected.cycles / result.cycles[0] - 1,
        "luts": luts,
        "accumulates_per_cycle_and_kilo_lut": luts and 1000 * values["accumulates_per_cycle"] / luts,
        "hardware": dataclasses.asdict(config),
    }


def _print(rows: Sequence[dict]) -> None:
    """Print a line for every point."""
    out = console()
    cells = [
        (
            row["model"],
            integer(row["lanes"]),
            "yes" if row["bit_exact"] else "NO",
            integer(row["cycles_per_image"]),
            percent(row["cycles_per_image"] / row["ideal_cycles"] - 1),
            percent(row["estimate_error"]),
            f"{row['accumulates_per_cycle_and_lane']:.2f}",
            f"{row['accumulates_per_cycle_and_adder']:.2f}",
            f"{row['dense_equivalent_per_cycle']:.0f}",
            "" if row["luts"] is None else integer(row["luts"]),
            "" if row["luts"] is None else f"{row['accumulates_per_cycle_and_kilo_lut']:.1f}",
            f"{row['bus_bytes'][0] / 1e3:,.0f}",
            f"{row['cycles_per_second'] / 1e3:,.0f}",
            f"{row['peak_memory_bytes'] / 2**30:.2f}",
        )
        for row in rows
    ]
    columns = ("model", "lanes", "exact", "cycles", "above", "model", "/lane", "/adder", "dense", "LUT", "/kLUT")
    out.print(table((*columns, "kB", "kHz", "GiB"), cells))
    for line in (
        "above: ideal; model: how far off the analytic model is; /lane, /adder, /kLUT: accumulates that the spikes",
        "demand, a cycle and lane, adder, thousand LUTs; dense: dense-equivalent, a cycle, not executed;",
        "kB: read from external memory for an image; kHz: simulated cycles; GiB: peak memory",
    ):
        out.print(line)
