"""What a network does for one image, as every convention of energy bills it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from golden.attention.core import Core
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
    inputs, outputs: read and written at one timestep, spikes and pixels only; inputs of an attention in bits.
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


def is_real(config: ModelConfig) -> bool:
    """Whether a network's attention is one of real numbers: such a network has no integer widths."""
    return config.attention is Attention.VSA


def input_kind(config: ModelConfig, layer: Layer) -> Kind:
    """Whether a layer of this network adds a weight for each spike, or multiplies numbers."""
    if layer.kind is LayerKind.PIXEL_CONV:
        return Kind.MAC
    if is_real(config) and layer.name.endswith((".attend", ".proj")):
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


def _attention_movement(config: ModelConfig, core: Core) -> Movement:
    tokens = config.tokens * config.dim
    return Movement(
        weights=0,
        weight_bits=config.weight_bits,
        input_bits=1,
        accumulator_bits=core.largest(config).bit_length() + 1,
        inputs=tokens * sum(core.neuron(part, config).bits for part in core.parts),
        outputs=tokens,
        output_bits=tokens,
        neurons=core.neurons(config),
        stream=0,
        additions=0,
    )


def _input_values(config: ModelConfig, layer: Layer) -> tuple[int, int]:
    """Bits of one input of a layer, and its largest value."""
    if layer.kind is LayerKind.PIXEL_CONV:
        return PIXEL_BITS, _PIXEL_LIMIT
    neuron = layer_neuron(config)
    return (neuron.bits, neuron.high) if reads_neuron(config, layer) else (1, 1)


def _output_bits(config: ModelConfig, layer: Layer) -> int:
    """Bits of one output of a layer that is no write to the stream."""
    part, core = layer.name.rpartition(".")[2], find_core(config)
    if core and part in core.parts:
        return core.neuron(part, config).bits
    return 1 if part in ("q", "k") else layer_neuron(config).bits


def movement(config: ModelConfig, layer: Layer) -> Movement:
    """What a layer of this network, whose attention is one of spikes, moves, and adds besides its operations."""
    core = find_core(config)
    if layer.kind is LayerKind.ATTEND:
        return _attention_movement(config, core)
    sizes, tokens = _sizes(config), config.tokens * config.dim
    outputs = [name.rpartition(".")[2] if "stream" not in name else "stream" for name in layer.outputs]
    writes = outputs.count("stream")
    spiking = sum(sizes[name] for name in outputs if name not in ("stream", "logits"))
    # LIF(U) belongs to the layers that read it.
    first = not layer.name.endswith((".k", ".v"))
    reads = tokens if layer.input.endswith((".input", ".mlp_input")) and first else 0
    sums = core is None and config.aggregate is Aggregate.CURRENT
    windows = tokens if sums and layer.name.endswith((".q", ".k")) else 0
    pool = layer.kind is LayerKind.POOL
    input_bits, largest = _input_values(config, layer)
    width = layer.fan_in * config.weight_limit * largest
    return Movement(
        weights=layer.fan_in * layer.channels,
        weight_bits=config.weight_bits,
        input_bits=input_bits,
        accumulator_bits=STREAM_BITS if pool else width.bit_length() + 1,
        inputs=0 if pool else layer.inputs * layer.side**2,
        outputs=spiking + reads,
        output_bits=spiking * _output_bits(config, layer) + reads * layer_neuron(config).bits,
        neurons=spiking + reads,
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
        movement=None if is_real(config) else movement(config, layer),
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
    return from_rates(config, lambda _layer: rate)


def from_rates(config: ModelConfig, rate: Callable[[Layer], float]) -> Workload:
    """The work of a network whose layers read spikes of these rates, independent of each other."""
    return Workload(
        layers=tuple(_at_rate(config, layer, rate(layer)) for layer in layers(config)), timesteps=config.timesteps
    )


def _at_rate(config: ModelConfig, layer: Layer, rate: float) -> LayerWork:
    real = is_real(config) and layer.name.endswith((".attend", ".proj"))
    if layer.kind is LayerKind.PIXEL_CONV or real:
        return _work(config, layer, rate=1.0, fetches=layer.fan_in and layer.macs)
    # One event for an input that fires at any timestep.
    events = layer.macs * (1 - (1 - rate) ** config.timesteps)
    return _work(config, layer, rate=rate, fetches=events if layer.fan_in and layer.kind is not LayerKind.MIX else 0)
