"""``saformer estimate``: cycles, memory traffic and limits of a network, without a simulation."""

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from torch import Tensor

from golden.errors import SaformerError
from golden.integer import run
from hw.compile.choose import lower_for
from hw.compile.memories import memory_bits
from hw.compile.schedule import Step
from hw.config import HardwareConfig
from hw.estimate.activity import Activity, Rate, expect, measure
from hw.estimate.costs import Estimate, LayerEstimate
from hw.estimate.cycles import estimate as estimate_cycles
from hw.estimate.timelines import ExternalMemory
from scripts.cosim import DEFAULT_MEMORY, Bandwidth, HardwareOption, Latency
from scripts.inputs import (
    DataFolder,
    FirstImage,
    JsonFile,
    ModelName,
    NamedModel,
    RandomFrames,
    load_images,
    resolve_model,
)
from scripts.outputs import ensure_writable, write_json
from scripts.query import Query, QueryOption
from scripts.tables import console, integer, percent, table

LIMITS = {
    "adders": "adders",
    "drain": "drain and neurons",
    "spike_memory": "spike memory",
    "external": "external bandwidth",
    "stream": "stream",
    "fixed": "latencies",
}
"""What the limits are called in print."""

LOST = {
    "drain": "drain",
    "spike_memory": "silent words",
    "external": "weights",
    "mixing": "mixing",
    "fixed": "latencies",
}
"""What lost cycles are called in print."""


def estimate(
    model: ModelName = "tiny",
    hardware: HardwareOption = None,
    rates: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Estimate from firing rates: a table with the columns layer, rate and (if known) p_any, the share of "
            "inputs that fire at any timestep of a pass. Without p_any the timesteps are taken as independent.",
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(metavar="R", help="Firing rate, 0 to 1, of every layer that the table does not name."),
    ] = None,
    images: Annotated[int, typer.Option(metavar="K", min=1, help="Without rates: run so many images and count.")] = 1,
    first: FirstImage = 0,
    data: DataFolder = None,
    random: RandomFrames = False,
    query: QueryOption = Query.POOLED,
    latency: Latency = DEFAULT_MEMORY.latency,
    bandwidth: Bandwidth = DEFAULT_MEMORY.bandwidth,
    json: JsonFile = None,
) -> None:
    """Estimate cycles, memory traffic and on-chip memory of every layer, and say what limits it.

    The events come from runs of the integer model, position by position, or from firing rates.
    """
    ensure_writable(json)
    memory = ExternalMemory(latency=latency, bandwidth=bandwidth)
    table_of_rates = read_rates(rates, rate) if rates is not None or rate is not None else None
    named = resolve_model(model)
    lowered = lower_for(named.model, hardware, pooled_query=query is Query.POOLED)
    config, steps = lowered.config, [layer.step for layer in lowered.layers]
    if table_of_rates is None:
        chosen = load_images(named.model.config, data, first=first, count=images, random=random).images
        activities = [golden_activity(named, steps, image, config) for image in chosen.split(1)]
        source = f"runs of the integer model, means of {integer(len(chosen))}"
    else:
        given = {step.name: table_of_rates.get(step.name, table_of_rates.get("")) for step in steps}
        known = {name: value for name, value in given.items() if value is not None}
        _check_names(table_of_rates, known)
        activities = [expect(steps, known, named.model.config, config)]
        source = "firing rates"
    results = [estimate_cycles(steps, activity, config, memory) for activity in activities]
    figures = summarise(results, named, config, memory) | {"source": source}
    if json is not None:
        write_json(json, figures)
    _print(figures)


def golden_activity(
    named: NamedModel, steps: Sequence[Step], image: Tensor, config: HardwareConfig
) -> list[Activity | None]:
    """Return what one image [1, ...] makes the engine do."""
    trace = run(named.model, image)
    return measure(steps, trace, image.numpy(), named.model.config, config)


def read_rates(path: Path | None, rate: float | None) -> dict[str, Rate]:
    """Return the firing rate of every layer of a table, and under "" that of all others.

    Raises SaformerError for a file that cannot be read, and for a row that makes no sense, with its number.
    """
    rates = {} if rate is None else {"": Rate(rate=rate)}
    if path is None:
        return rates
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise SaformerError(f"cannot read {path} ({reason}): name a CSV file") from None
    if not rows or not {"layer", "rate"} <= rows[0].keys():
        raise SaformerError(f"{path} has no rows with the columns layer and rate; write for instance: conv1,0.43")
    for number, row in enumerate(rows, start=2):
        try:
            any_step = float(row["p_any"]) if row.get("p_any") else None
            rates[row["layer"]] = Rate(rate=float(row["rate"]), any=any_step)
        except (TypeError, ValueError):
            raise SaformerError(f"{path}, line {number}: a rate must be a number, such as 0.15") from None
        except SaformerError as error:
            raise SaformerError(f"{path}, line {number}: {error}") from None
    return rates


def _check_names(rates: dict[str, Rate], known: dict[str, Rate]) -> None:
    if unknown := sorted(rates.keys() - known.keys() - {""}):
        raise SaformerError(f"the model has no layer {unknown[0]!r}; its layers are {', '.join(known)}")


def summarise(results: Sequence[Estimate], named: NamedModel, config: HardwareConfig, memory: ExternalMemory) -> dict:
    """Return the figures of `saformer estimate`: means over the images."""
    layers = [
        _mean([asdict(layer) | {"cycles": layer.cycles} for layer in same])
        | {"limit": same[0].limit if len({layer.limit for layer in same}) == 1 else _common(same)}
        for same in zip(*(result.layers for result in results), strict=True)
    ]
    cycles = sum(result.cycles for result in results) / len(results)
    return {
        "model": named.name,
        "hardware": asdict(config),
        "external_memory": asdict(memory),
        "cycles": cycles,
        "ideal_cycles": sum(result.ideal for result in results) / len(results),
        "limit": results[0].limit,
        "external_bytes": results[0].external_bytes,
        "memory_bits": memory_bits(config),
        "layers": layers,
    }


def _common(layers: Sequence[LayerEstimate]) -> str:
    """Return the limit that most images have."""
    limits = [layer.limit for layer in layers]
    return max(sorted(set(limits)), key=limits.count)


def _mean(values: list):
    """Return the mean of numbers, of the members of records, or the first of what is neither."""
    head = values[0]
    if isinstance(head, dict):
        return {key: _mean([value[key] for value in values]) for key in head}
    if isinstance(head, str):
        return head
    mean = sum(values) / len(values)
    return int(mean) if mean == int(mean) else mean


def _print(figures: dict) -> None:
    """Print the layers and the whole."""
    out, layers = console(), figures["layers"]
    rows = [
        (
            layer["name"],
            integer(layer["cycles"]),
            integer(layer["ideal"]),
            percent(layer["cycles"] / layer["ideal"] - 1) if layer["ideal"] else "",
            _most_lost(layer["lost"]),
            integer(layer["traffic"]["external_bytes"]),
            integer(layer["spike_words"]),
            LIMITS[layer["limit"]],
        )
        for layer in layers
    ]
    columns = ("layer", "cycles", "ideal", "above", "most lost to", "weight bytes", "words live", "limit")
    out.print(table(columns, rows))
    cycles, ideal = figures["cycles"], figures["ideal_cycles"]
    out.print(f"model     {figures['model']}; from {figures['source']}")
    out.print(f"cycles    {integer(cycles)} per image, {percent(cycles / ideal - 1)} above ideal")
    out.print(f"limit     {LIMITS[figures['limit']]}")
    out.print(f"memory    {integer(figures['external_bytes'])} bytes of program, each read once")
    out.print(f"on chip   {integer(sum(figures['memory_bits'].values()) / 1024)} kbit in memories")


def _most_lost(lost: dict) -> str:
    """Return the largest part of the cycles in which nothing was taken."""
    name = max(lost, key=lost.get)
    return f"{LOST[name]} {integer(lost[name])}"
