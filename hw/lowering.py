"""From an integer model to a program: descriptors, weight rows, parameters, and where every map lies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from golden.config import ModelConfig
from golden.integer import IntegerModel
from hw.allocate import allocate, channel_beats, spike_words
from hw.config import HardwareConfig
from hw.limits import check_fields, check_memories, check_model, check_step
from hw.pack import neuron_beats, tap_beats, weight_rows
from hw.program import DESCRIPTOR_WORDS, LEVELS, Kind, Layer, Program, Target
from hw.schedule import Neurons, Step, schedule


@dataclass(frozen=True, kw_only=True)
class LoweredLayer:
    """A layer of a program, its step, and the beats at which its maps start in spike memory."""

    step: Step
    input_base: int
    output_base: int


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """A program and what is needed to understand what the hardware does with it."""

    model: ModelConfig
    config: HardwareConfig
    program: Program
    layers: tuple[LoweredLayer, ...]


def lower(model: IntegerModel, config: HardwareConfig) -> Lowered:
    """Translate a model for the hardware.

    Raises SaformerError when the model uses what the hardware lacks, or does not fit it.
    """
    check_model(model.config, config)
    steps = schedule(model, config)
    for step in steps:
        check_step(step, config)
    bases = allocate(steps, config)
    images = _MemoryImages(config)
    layers = tuple(
        LoweredLayer(
            step=step,
            input_base=bases[step.reads.name] if step.reads else 0,
            output_base=bases[step.writes.name] if step.writes else 0,
        )
        for step in steps
    )
    program = Program(
        config=config,
        layers=tuple(Layer(name=layer.step.name, fields=_fields(layer, images, model.config)) for layer in layers),
        weights=images.weight_image(),
        params=tuple(images.params),
        taps=tuple(images.taps),
    )
    needed = {
        "weight_depth": len(program.weights),
        "spike_depth": spike_words(steps, bases, config),
        "param_depth": len(program.params),
        "tap_depth": len(program.taps),
        "program_depth": DESCRIPTOR_WORDS * len(program.layers),
    }
    check_memories(steps, needed, config)
    for layer in program.layers:
        check_fields(layer)
    return Lowered(model=model.config, config=config, program=program, layers=layers)


class _MemoryImages:
    """The memories that a program fills, as they grow layer by layer; every method returns a base address."""

    def __init__(self, config: HardwareConfig):
        self.config = config
        self.rows: list[np.ndarray] = []
        self.params: list[int] = []
        self.taps: list[int] = []

    def add_weights(self, weights: np.ndarray) -> int:
        base = sum(len(rows) for rows in self.rows)
        self.rows.append(weight_rows(weights, self.config))
        return base

    def add_neurons(self, neurons: Neurons | None) -> int:
        base = len(self.params)
        if neurons is not None:
            self.params += neuron_beats(neurons, self.config)
        return base if neurons is not None else 0

    def add_taps(self, step: Step) -> int:
        base = len(self.taps)
        self.taps += tap_beats(step.taps, step.one, self.config)
        return base

    def weight_image(self) -> np.ndarray:
        return np.concatenate(self.rows)


def _fields(layer: LoweredLayer, images: _MemoryImages, model: ModelConfig) -> dict[str, int]:
    """The descriptor of a layer."""
    step, config = layer.step, images.config
    fields = {
        "kind": step.kind,
        "step_mask": (1 << model.timesteps) - 1,
        "input_base": layer.input_base,
        "output_base": layer.output_base,
        "output_beats": channel_beats(step.outputs, config),
        "position_target": step.position,
        "tile_target": step.tile,
        "position_params": images.add_neurons(step.position_neurons),
        "tile_params": images.add_neurons(step.tile_neurons),
    }
    match step.kind:
        case Kind.LOAD:
            return fields | _load_fields(step, config)
        case Kind.EVENT:
            return fields | _event_fields(step, images) | _mask_fields(step, model)
        case Kind.MIX:
            return fields | _grid_fields(step) | {"tap_base": images.add_taps(step)}
        case Kind.POOL:
            return fields | {"tokens": step.tokens}


def _load_fields(step: Step, config: HardwareConfig) -> dict[str, int]:
    pixels = step.writes
    return {
        "pixels": pixels.positions,
        "pixel_channels": pixels.channels,
        "plane_beats": pixels.positions * channel_beats(pixels.channels, config),
    }


def _grid_fields(step: Step) -> dict[str, int]:
    return {"width": step.reads.width, "height": step.reads.height}


def _event_fields(step: Step, images: _MemoryImages) -> dict[str, int]:
    config = images.config
    groups = -(-step.outputs // config.lanes)
    last_channels = step.outputs - (groups - 1) * config.lanes
    weight_base = images.add_weights(step.weights)
    pixel_beats = channel_beats(step.reads.channels, config)
    counts = loop_counts(step)
    # Folded layers without a current of their own for every position have no position addresses.
    stored = step.position is not Target.NONE
    output_beats = channel_beats(step.outputs, config) if stored else 0
    return {
        "fold": step.fold,
        "kernel3": int(step.kernel == 3),
        "last_group": groups - 1,
        "last_beats": channel_beats(last_channels, config),
        "group_channels": config.lanes,
        "last_channels": last_channels,
        **{f"last_{level}": count - 1 for level, count in zip(LEVELS, counts, strict=True)},
        **_named("input", loop_steps(counts, _strides(step, pixel_beats))),
        "pixel_beats": pixel_beats,
        "row_beats": step.reads.width * pixel_beats,
        "weight_base": weight_base,
        "weight_rows": step.kernel**2 * pixel_beats * config.beat_channels,
        **_named("output", loop_steps(counts, _strides(step, output_beats))),
    }


def _mask_fields(step: Step, model: ModelConfig) -> dict[str, int]:
    """The mask neuron fires when the last keys have been counted."""
    return {"mask_threshold": model.mask_threshold} if step.tile is Target.KEY else {}


def loop_counts(step: Step) -> tuple[int, ...]:
    """Iterations of the loops of `LEVELS` over the positions of an EVENT step."""
    spikes, side = step.reads, step.tile_side
    return (spikes.height // side, spikes.width // side, side, side, spikes.planes)


def loop_steps(counts: Sequence[int], strides: Sequence[int]) -> list[int]:
    """What the address gains when a loop advances: its stride, less the way that the loops inside it have gone."""
    steps, gone = [], 0
    for count, stride in zip(reversed(counts), reversed(strides), strict=True):
        steps.append(stride - gone)
        gone += (count - 1) * stride
    return steps[::-1]


def _strides(step: Step, position_beats: int) -> tuple[int, ...]:
    """Distance in beats of neighbours along each loop, in a map with `position_beats` beats a position."""
    spikes, side = step.reads, step.tile_side
    row = spikes.width * position_beats
    return (side * row, side * position_beats, row, position_beats, spikes.positions * position_beats)


def _named(prefix: str, values: Sequence[int]) -> dict[str, int]:
    return {f"{prefix}_{level}": value for level, value in zip(LEVELS, values, strict=True)}
