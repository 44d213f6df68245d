"""A feed-forward network as steps of the accelerator: layers of spikes, and nothing of attention or residuals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from golden.config import Input, Reset
from golden.feedforward.integer import (
    IntegerFeedForward,
    IntegerFlatten,
    IntegerNeurons,
    IntegerNode,
    IntegerPool,
    IntegerWeights,
)
from golden.feedforward.nodes import Convolution, Shape
from golden.integer import Trace
from hw.compile.allocate import channel_slots
from hw.compile.schedule import Map, Neurons, Step
from hw.config import HardwareConfig
from hw.program import Fold, Kind, Target


@dataclass(frozen=True, kw_only=True)
class ChainConfig:
    """What must be known of a network to feed it and to read what it puts out."""

    name: str
    in_channels: int
    image_size: list[int]
    timesteps: int
    classes: int
    input: Input = Input.EVENTS
    # It aggregates nothing.
    window_side: int = 1
    window_kernel: int = 1


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """Weights with what stands before and behind them."""

    weights: IntegerWeights
    spike_pool: IntegerPool | None
    pool: IntegerPool | None
    neurons: IntegerNeurons | None


class Chain:
    """The steps of one network for one accelerator; a feature is a map of one position.

    Parameters
    ----------
    network : of integers
    name : for reports
    timesteps : of every inference
    config : of the hardware

    Raises SaformerError, with the name of the node, for what the accelerator does not have: neurons other than LIF that
    keep half and reset to 0, strides, kernels other than 1 and 3, sums of spikes in front of a convolution.
    """

    def __init__(self, network: IntegerFeedForward, *, name: str, timesteps: int, config: HardwareConfig):
        self.network = network
        self.hardware = config
        self.passes = -(-timesteps // config.timesteps)
        self.layers = _group(network.nodes)
        channels, height, width = _as_map(network.network.input_shape)
        outputs = int(np.prod(network.network.shapes()[-1]))
        self.config = ChainConfig(
            name=name, in_channels=channels, image_size=[height, width], timesteps=timesteps, classes=outputs
        )

    @cached_property
    def steps(self) -> list[Step]:
        """The steps of one inference, in the order of execution."""
        channels, height, width = _as_map(self.network.network.input_shape)
        spikes = Map(name="frames", height=height, width=width, channels=channels, passes=self.passes)
        steps = [Step(name="load", kind=Kind.LOAD, passes=self.passes, writes=spikes, outputs=channels)]
        for layer in self.layers:
            steps.append(self._step(layer, spikes))
            spikes = steps[-1].writes
        return steps

    def trace(self, values: Mapping[str, Tensor], frames: Tensor) -> Trace:
        """What `IntegerFeedForward.run` of frames [B, T, ...] found, by the names of the maps, as [T, B, C, H, W]."""
        named = {"frames": _grid(frames.transpose(0, 1))}
        for layer, step in zip(self.layers, self.steps[1:], strict=True):
            if step.reads.stored:
                named[step.reads.name] = self._flattened(named[step.reads.stored])
            if step.writes is not None:
                named[step.writes.name] = _grid(values[layer.neurons.node.name])
            else:
                # Of one position: a pool behind it changes nothing.
                named[step.logits] = values[layer.weights.node.name].flatten(2)
        return Trace(values=named, saturations={})

    def _flattened(self, spikes: Tensor) -> Tensor:
        """Spikes [T, B, C, H, W] in the order of spike memory, [T, B, positions * padded channels, 1, 1]."""
        missing = channel_slots(spikes.shape[2], self.hardware) - spikes.shape[2]
        padded = torch.nn.functional.pad(spikes, (0, 0, 0, 0, 0, missing))
        return padded.permute(0, 1, 3, 4, 2).flatten(2)[..., None, None]

    def _step(self, layer: _Layer, spikes: Map) -> Step:
        node, weights = layer.weights.node, layer.weights.weight.numpy()
        if isinstance(node, Convolution):
            _check_convolution(layer, spikes)
            reads, weights = spikes, _dense_groups(weights, node.groups)
            height, width = spikes.height, spikes.width
        else:
            reads, weights = self._features(layer, spikes, weights)
            height = width = 1
        side, fold, count = 1, Fold.NONE, 1
        if layer.pool is not None:
            side, fold = _pool_side(layer.pool, height, width), Fold.SUM
            count = side**2
        kind = "position" if fold is Fold.NONE else "tile"
        writes = None
        if layer.neurons is not None:
            writes = Map(
                name=_spikes_of(layer),
                height=height // side,
                width=width // side,
                channels=len(weights),
                passes=self.passes,
            )
        return Step(
            name=node.name,
            kind=Kind.EVENT,
            passes=self.passes,
            reads=reads,
            writes=writes,
            outputs=len(weights),
            weights=weights,
            fold=fold,
            window=count,
            tile_side=side,
            logits=None if writes else "logits",
            **{
                kind: Target.SPIKES if writes else Target.LOGITS,
                f"{kind}_neurons": _neurons(layer, count),
            },
        )

    def _features(self, layer: _Layer, spikes: Map, weights: np.ndarray) -> tuple[Map, np.ndarray]:
        """The map that a matrix reads as one position, and the matrix [outputs, inputs, 1, 1] in the order of memory.

        A pool of spikes in front of it becomes part of the matrix.
        """
        if (spikes.height, spikes.width) == (1, 1):
            return spikes, weights[..., None, None]
        side = _pool_side(layer.spike_pool, spikes.height, spikes.width) if layer.spike_pool else 1
        pooled = weights.reshape(len(weights), spikes.channels, spikes.height // side, spikes.width // side)
        full = pooled.repeat(side, axis=2).repeat(side, axis=3)
        slots = channel_slots(spikes.channels, self.hardware)
        padded = np.zeros((len(weights), spikes.height, spikes.width, slots), np.int8)
        padded[..., : spikes.channels] = full.transpose(0, 2, 3, 1)
        flat = padded.reshape(len(weights), -1, 1, 1)
        reads = replace(
            spikes, name=f"{spikes.name}.flat", height=1, width=1, channels=flat.shape[1], stored=spikes.name
        )
        return reads, flat


def _spikes_of(layer: _Layer) -> str:
    """The name of the map that a layer writes: no node can have it, and neither do the frames and the logits."""
    return f"{layer.neurons.node.name} (spikes)"


def _as_map(shape: Shape) -> tuple[int, int, int]:
    return shape if len(shape) == 3 else (*shape, 1, 1)


def _grid(values: Tensor) -> Tensor:
    """[T, B, C, H, W] of maps or features."""
    return values if values.dim() == 5 else values[..., None, None]


def _group(nodes: Sequence[IntegerNode]) -> list[_Layer]:
    """The layers of a network: weights, with a pool and a flatten before and a pool and neurons behind them."""
    layers, rest = [], list(nodes)

    def take(kind: type[IntegerNode]) -> IntegerNode | None:
        return rest.pop(0) if rest and isinstance(rest[0], kind) else None

    while rest:
        first, spike_pool = rest[0], take(IntegerPool)
        take(IntegerFlatten)
        weights = take(IntegerWeights)
        if weights is None:
            raise (rest[0] if rest else first).node.refuse(
                "the accelerator computes layers of weights and then neurons, with a pool between them if need be, and "
                "puts out spikes or the currents of a matrix"
            )
        layers.append(
            _Layer(weights=weights, spike_pool=spike_pool, pool=take(IntegerPool), neurons=take(IntegerNeurons))
        )
    return layers


def _check_convolution(layer: _Layer, spikes: Map) -> None:
    node = layer.weights.node
    kernel, side = node.weight.shape[2:], node.weight.shape[2]
    if layer.spike_pool is not None:
        raise node.refuse(
            "reads sums of spikes, and the accelerator single ones: let the pool stand before the neurons"
        )
    if kernel not in ((1, 1), (3, 3)) or node.padding != (side // 2,) * 2 or node.stride != (1, 1):
        raise node.refuse(
            f"has a kernel of {kernel[0]}x{kernel[1]}, padding {node.padding[0]} and stride {node.stride[0]}; the "
            "accelerator has 1x1 without padding and 3x3 with padding 1, stride 1"
        )
    if layer.neurons is None and (spikes.height, spikes.width) != (1, 1):
        raise node.refuse("puts out the currents of a map; the accelerator puts out spikes or the currents of a matrix")


def _pool_side(pool: IntegerPool, height: int, width: int) -> int:
    node = pool.node
    side = node.kernel[0]
    if node.kernel != node.stride or node.kernel[1] != side or height % side or width % side:
        raise node.refuse(
            f"has windows of {node.kernel[0]}x{node.kernel[1]} at a distance of {node.stride[0]}; those of the "
            f"accelerator are squares side by side, which fill its map of {height}x{width}"
        )
    return side


def _dense_groups(weights: np.ndarray, groups: int) -> np.ndarray:
    """Weights [Co, Ci / groups, k, k] as [Co, Ci, k, k], with zeros between the groups."""
    outputs, inputs, *kernel = weights.shape
    full = np.zeros((outputs, groups * inputs, *kernel), weights.dtype)
    for group in range(groups):
        rows = slice(group * outputs // groups, (group + 1) * outputs // groups)
        full[rows, group * inputs : (group + 1) * inputs] = weights[rows]
    return full


def _neurons(layer: _Layer, count: int) -> Neurons:
    """The neurons of a layer, on sums of `count` currents; a last layer without any has thresholds that nobody sees."""
    bias = count * layer.weights.bias.numpy().astype(np.int64)
    if layer.neurons is None:
        return Neurons(bias=bias, threshold=np.zeros_like(bias), shift=np.zeros_like(bias))
    node, dynamics = layer.neurons.node, layer.neurons.dynamics
    if dynamics.keep != Fraction(1, 2) or node.reset is not Reset.HARD:
        raise node.refuse(
            f"keeps {float(dynamics.keep):g} of its membrane, with a {node.reset} reset; "
            "neurons of the accelerator keep 0.5 (tau = 2 dt), with a hard reset"
        )
    leak, threshold = (value.numpy().astype(np.int64) for value in (layer.neurons.leak, layer.neurons.threshold))
    return Neurons(bias=bias + leak, threshold=threshold, shift=np.zeros_like(bias))
