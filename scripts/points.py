"""One point of the design space: a network on hardware of some size, estimated or simulated."""

import dataclasses
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from golden.data import ImageSet
from golden.errors import SaformerError
from golden.integer import run
from hw.activity import Activity, Rate, expect, measure
from hw.area import area
from hw.config import HardwareConfig
from hw.estimate import estimate
from hw.fit import fit
from hw.lowering import lower
from hw.schedule import Step
from hw.timelines import ExternalMemory
from scripts.inputs import NamedModel, load_images, resolve_model, untrained
from sim.cosim import cosim
from sim.simulate import Simulator

HARDWARE_AXES = ("lanes", "timesteps", "beat_channels", "weight_depth", "fifo_depth", "bus_bytes")
"""Parameters of the hardware that a sweep varies."""


def evaluate(point: dict) -> dict:
    """Return the figures of a point; ``error`` says why there are none.

    A point has ``model``, ``changes`` (fields of the model's configuration that are to be others), ``percent`` (the
    rate at which all neurons of an untrained model fire, None for realistic ones), ``hardware`` (the fields of a
    configuration; its memories are fitted to the model), ``images``, ``data``, ``rate`` (None to count events in runs),
    ``latency``, ``bandwidth`` and ``simulate``.
    """
    begin = time.monotonic()
    try:
        figures = _evaluate(point)
    except SaformerError as error:
        return {"error": str(error)}
    return figures | {"seconds": time.monotonic() - begin}


def _evaluate(point: dict) -> dict:
    named = model_of(point)
    config = fit([named.model], HardwareConfig(**point["hardware"]))
    memory = ExternalMemory(latency=point["latency"], bandwidth=point["bandwidth"])
    steps = [layer.step for layer in lower(named.model, config).layers]
    activities = list(_activities(point, named, steps, config))
    results = [estimate(steps, active, config, memory) for active in activities]
    estimated = area(config)
    figures = {
        "cycles": _mean(result.cycles for result in results),
        "ideal_cycles": _mean(result.ideal for result in results),
        "sops": _mean(result.sops for result in results),
        "layers": {
            same[0].name: _mean(layer.cycles for layer in same)
            for same in zip(*(result.layers for result in results), strict=True)
        },
        "firing_rate": _mean(_firing_rate(steps, active, named) for active in activities),
        "tokens": named.model.config.tokens,
        "limit": results[0].limit,
        "external_bytes": results[0].external_bytes,
        "luts": estimated.luts,
        "flip_flops": estimated.flip_flops,
        "block_rams": estimated.block_rams,
        "hardware": dataclasses.asdict(config),
    }
    return figures | (_simulate(point, named, config, memory) if point["simulate"] else {})


def _firing_rate(steps: Sequence[Step], active: Sequence[Activity | None], named: NamedModel) -> float:
    """Return the rate at which the inputs of the layers fire that read spikes of neurons, each visit counted."""
    spiking = [
        (step, each)
        for step, each in zip(steps, active, strict=True)
        if each is not None and step.reads.name not in ("pixels", "frames") and not step.reads.name.endswith(".counts")
    ]
    spikes = sum(float(each.spikes.sum()) for _, each in spiking)
    return spikes / sum(int(each.inputs.sum()) * named.model.config.timesteps / step.passes for step, each in spiking)


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)


def _activities(
    point: dict, named: NamedModel, steps: Sequence[Step], config: HardwareConfig
) -> Iterator[list[Activity | None]]:
    """Yield what each image makes the engine do, or what the rate lets expect."""
    model = named.model.config
    if point["rate"] is not None:
        yield expect(steps, {step.name: Rate(rate=point["rate"]) for step in steps}, model, config)
        return
    for image in images_of(point).images.split(1):
        yield measure(steps, run(named.model, image), image.numpy(), model, config)


def _simulate(point: dict, named: NamedModel, config: HardwareConfig, memory: ExternalMemory) -> dict:
    """Return what the RTL does with the images."""
    images = images_of(point)
    with Simulator(config=config, memory=memory) as engine:
        result = cosim(named.model, images.images, images.labels, config=config, engine=engine)
    layers = {layer.name: layer.cycles / len(images) for layer in result.layers}
    return {"rtl_cycles": result.cycles_per_image, "rtl_layers": layers, "bit_exact": result.bit_exact}


def model_of(point: dict) -> NamedModel:
    """Return the model of a point.

    Raises SaformerError: no such model, impossible changes, or changes of one that is trained.
    """
    return _changed_model(point["model"], tuple(sorted(point["changes"].items())), point["percent"])


@lru_cache(maxsize=4)
def _changed_model(name: str, changes: tuple[tuple[str, object], ...], percent: int | None) -> NamedModel:
    named = resolve_model(name)
    config = named.model.config
    wanted = dataclasses.replace(config, **dict(changes))
    if wanted == config and percent is None:
        return named
    if named.trained:
        raise SaformerError(f"{name} is trained: vary {_names(changes)} with an untrained network, such as 4-384")
    return untrained(wanted, seed=0, percent=percent)


def _names(changes: tuple[tuple[str, object], ...]) -> str:
    return " and ".join(field for field, _ in changes) or "its firing rate"


def images_of(point: dict) -> ImageSet:
    """Return the images of a point."""
    data = Path(point["data"]) if point["data"] else None
    return load_images(model_of(point).model.config, data, count=point["images"])
