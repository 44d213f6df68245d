"""What a network does for one image, as every convention of energy bills it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from golden.attention.registry import find_core
from golden.config import Aggregate, Attention, Head, ModelConfig
from golden.counts import PIXEL_BITS, Counts
from golden.errors import SaformerError
from golden.integer import STREAM_BITS
from golden.layers import Layer, LayerKind, layers
from golden.neurons.registry import layer_neuron

_PIXEL_LIMIT = 2**PIXEL_BITS - 1


class Kind(StrEnum):
    """What an operation is: a multiply-accumulate of numbers, or an accumulate of a weight for a spike."""

    MAC = "mac"
    AC = "ac"


@dataclass(frozen=True, kw_only=True)
class Movement:
    """What a layer moves and adds besides its synaptic operations. Numbers are values, not bits, unless they say so.

    Members
    -------
    weights: of the layer; weight_bits: of one.
    input_bits: of one input: 1 for a spike, 8 for a pixel, those of the neuron where it puts out more than a bit.
    output_bits: of all outputs together, likewise.
    accumulator_bits: signed, wide enough for the sum of all weights of an output.
    inputs, outputs: read and written at one timestep, spikes and pixels only.
    neurons: membranes that are updated at one timestep.
    stream: values of the residual stream that are read, and written, at one timestep.
    additions: at one timestep, of numbers: sums over windows and tokens, and those of the stream.
    """

    weights: int
    weight_bits: int
    input_bits: int
    accumulator_bits: int
    inputs: int
    outputs: int
    output_bits: int
    neurons: int
    stream: int
    additions: int


@dataclass(frozen=True, kw_only=True)
class LayerWork:
    """What one layer does for one image.

    Members
    -------
    name, kind: of the layer and of its operations. Inputs that are more than a bit and a sign (the numbers of a mixing
        without a neuron, counts of spikes, neurons of several levels) make multiply-accumulates.
    operations: of the dense layer, over all timesteps at which it reads its input (FLOPs of eq. 18 times T).
    rate: share of the inputs that are not zero; 1 for the pixels of conv1.
    executed: operations whose input is not zero, where they were counted; rate times operations where not.
    fetches: weights read, one for every output channel of an event.
    timesteps: at which the layer reads its input.
    movement: what it moves, where the shapes are known.
    """

    name: str
    kind: Kind
    operations: float
    rate: float
    executed: float
    fetches: float = 0.0
    timesteps: int = 1
    movement: Movement | None = None

    @property
    def estimate(self) -> float:
        """fr * T * FLOPs of eq. 18."""
        return self.operations * self.rate


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a network does for one image: its layers, and the timesteps T."""

    layers: tuple[LayerWork, ...]
    timesteps: int

    @property
    def rate(self) -> float:
        """Average firing rate: operations executed by eq. 18 over the dense ones, of all layers that read spikes."""
        spiking = [layer for layer in self.layers if layer.kind is Kind.AC]
        dense = sum(layer.operations for layer in spiking)
        return sum(layer.estimate for layer in spiking) / dense if dense else 0.0

    @property
    def has_shapes(self) -> bool:
        """Whether every layer says what it moves; those of a table of firing rates do not."""
        return all(layer.movement for layer in self.layers)


def input_kind(config: ModelConfig, layer: Layer) -> Kind:
    """Whether a layer of this network adds a weight for each spike, or multiplies numbers."""
    if layer.kind is LayerKind.PIXEL_CONV:
        return Kind.MAC
    numbers = layer.kind is LayerKind.CLASSIFIER and config.head is Head.RATE
    mixes = config.attention is Attention.SASA and config.dwc
    numbers |= layer.name.endswith(".proj") and mixes and not config.mix_neuron
    # A ternary value adds or subtracts a weight.
    neuron = layer_neuron(config)
    numbers |= neuron.high > 1 and reads_neuron(config, layer)
    return Kind.MAC if numbers else Kind.AC


def reads_neuron(config: ModelConfig, layer: Layer) -> bool:
    """Whether the inputs of a layer come from `layer_neuron`, not from outside or a binary neuron of an attention."""
    if layer.kind in (LayerKind.MIX, LayerKind.ATTEND, LayerKind.POOL) or layer.input in ("pixels", "frames"):
        return False
    return not layer.name.endswith(".proj") or (config.attention is Attention.SASA and config.dwc)


def _sizes(config: ModelConfig) -> Mapping[str, int]:
    """Values of every output of a layer at one timestep, by the last part of its name."""
    tokens, aggregated = config.tokens * config.dim, config.windows * config.dim
    # Pooled or not, a map has the side of the next convolution.
    sides = {stage: config.stage_side(stage + 1) for stage in range(1, 5)}
    maps = {f"conv{stage}": config.stage_channels[stage - 1] * side**2 for stage, side in sides.items()}
    blocks = dict.fromkeys(("q", "k", "v", "mix"), tokens) | dict.fromkeys(("qa", "ka"), aggregated)
    blocks |= {"mask": config.dim, "fc1": config.tokens * config.hidden}
    return maps | blocks | {"head": config.dim, "logits": config.classes}


def movement(config: ModelConfig, layer: Layer) -> Movement:
    """What a layer of this network moves, and adds besides its operations."""
    sizes, tokens = _sizes(config), config.tokens * config.dim
    outputs = [name.rpartition(".")[2] if "stream" not in name else "stream" for name in layer.outputs]
    writes = outputs.count("stream")
    spiking = sum(sizes[name] for name in outputs if name not in ("stream", "logits"))
    # LIF(U) belongs to the layers that read it.
    first = not layer.name.endswith((".k", ".v"))
    reads = tokens if layer.input.endswith((".input", ".mlp_input")) and first else 0
    core = find_core(config)
    sums = core is None and config.aggregate is Aggregate.CURRENT
    windows = tokens if sums and layer.name.endswith((".q", ".k")) else 0
    pixels = layer.kind is LayerKind.PIXEL_CONV
    pool = layer.kind is LayerKind.POOL
    attends = layer.kind is LayerKind.ATTEND
    parts = len(core.parts) if attends else 1
    largest = config.weight_limit * (_PIXEL_LIMIT if pixels else 1)
    neuron = layer_neuron(config)
    wide = reads_neuron(config, layer)
    width = core.largest(config) if attends else layer.fan_in * largest * (neuron.high if wide else 1)
    inside = layer.name.endswith((".q", ".k", ".v", ".attend"))
    return Movement(
        weights=layer.fan_in * layer.channels,
        weight_bits=config.weight_bits,
        input_bits=PIXEL_BITS if pixels else neuron.bits if wide else 1,
        accumulator_bits=STREAM_BITS if pool else width.bit_length() + 1,
        inputs=0 if pool else parts * layer.inputs * layer.side**2,
        outputs=spiking + reads,
        output_bits=spiking * (1 if inside else neuron.bits) + reads * neuron.bits,
        neurons=core.neurons(config) if attends else spiking + reads,
        stream=writes * tokens + reads + pool * tokens,
        additions=writes * tokens + windows + pool * tokens,
    )


def _work(config: ModelConfig, layer: Layer, *, rate: float, **counted: float) -> LayerWork:
    timesteps = 1 if layer.kind is LayerKind.PIXEL_CONV else config.timesteps
    operations = layer.macs * timesteps
    return LayerWork(
        name=layer.name,
        kind=input_kind(config, layer),
        operations=operations,
        rate=rate,
        timesteps=timesteps,
        movement=movement(config, layer),
        **{"executed": operations * rate} | counted,
    )


def from_counts(config: ModelConfig, counts: Counts) -> Workload:
    """The work that was counted, on average over its images."""
    works = []
    for counted in counts.layers:
        layer, images = counted.layer, counts.images
        fetches = counted.events * layer.channels / images
        if layer.kind is LayerKind.PIXEL_CONV:
            works.append(_work(config, layer, rate=1.0, fetches=fetches))
            continue
        executed = (int(counted.sops.sum()) + counted.additions) / images
        works.append(_work(config, layer, rate=counted.firing_rate, executed=executed, fetches=fetches))
    return Workload(layers=tuple(works), timesteps=config.timesteps)


def from_rate(config: ModelConfig, rate: float) -> Workload:
    """The work of a network all of whose spikes come at one rate, 0 to 1, independently of each other.

    Raises SaformerError for a rate out of range.
    """
    if not (math.isfinite(rate) and 0 <= rate <= 1):
        raise SaformerError(f"a firing rate must be from 0 to 1, not {rate}")
    works = []
    for layer in layers(config):
        if layer.kind is LayerKind.PIXEL_CONV:
            works.append(_work(config, layer, rate=1.0, fetches=layer.macs))
            continue
        # One event for an input that fires at any timestep.
        events = layer.macs * (1 - (1 - rate) ** config.timesteps)
        works.append(
            _work(config, layer, rate=rate, fetches=events if layer.fan_in and layer.kind is not LayerKind.MIX else 0)
        )
    return Workload(layers=tuple(works), timesteps=config.timesteps)
