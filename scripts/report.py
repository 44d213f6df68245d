"""The report of a comparison: one HTML file with everything in it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from golden.config import Input, ModelConfig
from golden.data import CLASS_NAMES, NO_LABEL, ImageSet
from golden.energy.conventions import described
from golden.integer import Trace
from hw.config import HardwareConfig
from scripts import plots
from scripts.inputs import NamedModel
from scripts.query import describe_query
from scripts.tables import integer, millijoule, percent, recognised

TEMPLATES = Path(__file__).with_name("templates")
PICTURES = 60
"""Most images that are shown."""


@dataclass(frozen=True, kw_only=True)
class ReportInput:
    """What a report is made of: the figures of the comparison (its JSON), and what they belong to.

    ``trace`` is the integer model's run of the first image; ``hashes`` are name and value of what was compared.
    """

    figures: dict
    images: ImageSet
    named: NamedModel
    hardware: HardwareConfig
    trace: Trace
    hashes: dict[str, str]


def render(source: ReportInput) -> str:
    """Return the report as HTML."""
    figures, layers = source.figures, source.figures["layers"]
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"percent": percent, "integer": integer, "millijoule": millijoule, "recognised": recognised}
    return environment.get_template("report.html.j2").render(
        figures=figures,
        model=source.named,
        pictures=_pictures(figures, source.images, source.named.model.config),
        hidden=max(0, len(source.images) - PICTURES),
        conventions=described(figures["energy_mj"]),
        rates=plots.firing_rates(layers),
        accumulates=plots.accumulates(layers),
        cycles=plots.cycles(layers),
        raster=plots.raster(_maps(source.trace)),
        ideal=sum(layer["ideal_cycles"] for layer in layers),
        spent=sum(layer["cycles"] for layer in layers),
        settings=_settings(source.named.model.config, source.hardware),
        hashes=source.hashes,
        query=describe_query(figures["query"]) if figures["query"] else None,
    )


def _pictures(figures: dict, images: ImageSet, model: ModelConfig) -> list[dict]:
    """Return the images with what they are and what the hardware says they are."""
    names = CLASS_NAMES if model.input is Input.PIXELS and model.classes == len(CLASS_NAMES) else ()
    return [
        {
            "url": plots.picture(_pixels(pixels.numpy(), model)),
            "index": int(index),
            "label": _class_name(label, names) if label != NO_LABEL else None,
            "prediction": _class_name(prediction, names),
            "right": label == prediction,
        }
        for pixels, index, label, prediction in zip(
            images.images[:PICTURES], images.indices, figures["labels"], figures["predictions"], strict=False
        )
    ]


def _pixels(image: np.ndarray, model: ModelConfig) -> np.ndarray:
    """Return an image as it is, and frames of events as their mean over time, stretched to the full range."""
    if model.input is Input.PIXELS:
        return image
    events = image.sum(axis=0, dtype=np.float64)
    return (255 * events / max(1.0, events.max())).astype(np.uint8)


def _class_name(number: int, names: Sequence[str]) -> str:
    return names[number] if number < len(names) else f"class {number}"


def _maps(trace: Trace) -> Sequence[tuple[str, np.ndarray]]:
    """Return the spike maps of the first image in the order of computation: name, [T, channels, positions]."""
    maps = []
    for name, values in trace.values.items():
        if "stream" in name or name == "logits":
            continue
        spikes = values[:, 0].numpy()
        maps.append((name, spikes.reshape(*spikes.shape[:2], -1)))
    return maps


def _settings(model: ModelConfig, hardware: HardwareConfig) -> dict[str, dict]:
    """Return both configurations, field by field."""
    return {"model": model.to_dict(), "hardware": asdict(hardware)}
