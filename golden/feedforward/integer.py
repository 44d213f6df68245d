"""The integer model of a feed-forward network: the specification of what the accelerator computes for it.

Spikes are uint8, currents int32. Every output channel has a scale of its own; neurons compare whole numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from golden.errors import SaformerError
from golden.feedforward.network import FeedForward
from golden.feedforward.nodes import Convolution, Dense, Flatten, Neurons, Node, Pool, Shape
from golden.neurons.exact import EXACT_BITS, membrane_bits, run_neuron
from golden.neurons.kinds import Binary
from golden.tensors import parameter_limit

SIXTEENTHS = 16
_NEAR = 1e-5
"""How near to a sixteenth a decay must be: what float32 makes of a time constant."""


@dataclass(frozen=True, kw_only=True)
class IntegerWeights:
    """weight int8 [Co, Ci / groups, kh, kw] or [out, in], bias int32 [Co]."""

    node: Convolution | Dense
    weight: Tensor
    bias: Tensor

    def run(self, x: Tensor) -> Tensor:
        """Currents int32 [T, B, Co, ...] of numbers [T, B, Ci, ...]: exact, for sums are below 2**53."""
        # A matrix product or a convolution in double precision adds whole numbers without rounding, in any order.
        weight, bias = self.weight.double(), self.bias.double()
        if isinstance(self.node, Dense):
            return F.linear(x.double(), weight, bias).to(torch.int32)
        settings = {"stride": self.node.stride, "padding": self.node.padding, "groups": self.node.groups}
        sums = F.conv2d(x.flatten(0, 1).double(), weight, bias, **settings)
        return sums.unflatten(0, x.shape[:2]).to(torch.int32)


@dataclass(frozen=True, kw_only=True)
class IntegerPool:
    """Sums over windows; what makes a mean of them is in the scales."""

    node: Pool

    def run(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] to int32 [T, B, C, H', W']."""
        kernel, stride = self.node.kernel, self.node.stride
        sums = F.avg_pool2d(x.flatten(0, 1).double(), kernel, stride=stride, divisor_override=1)
        return sums.unflatten(0, x.shape[:2]).to(torch.int32)


@dataclass(frozen=True, kw_only=True)
class IntegerFlatten:
    """A map as features."""

    node: Flatten

    def run(self, x: Tensor) -> Tensor:
        """[T, B, ...] to [T, B, features]."""
        return x.flatten(2)


@dataclass(frozen=True, kw_only=True)
class IntegerNeurons:
    """Neurons with one threshold, int32, and one leak, int32 (added to the current), for each channel, [C]."""

    node: Neurons
    dynamics: Binary
    threshold: Tensor
    leak: Tensor

    def run(self, x: Tensor) -> Tensor:
        """Spikes uint8 of currents [T, B, C, ...]."""
        sides = (-1, *[1] * (x.dim() - 3))
        current = x + self.leak.reshape(sides)
        return run_neuron(self.dynamics, current, self.threshold.reshape(sides), reset=self.node.reset)


IntegerNode = IntegerWeights | IntegerPool | IntegerFlatten | IntegerNeurons


@dataclass(frozen=True, kw_only=True)
class IntegerFeedForward:
    """The integer nodes of a network, in order."""

    network: FeedForward
    nodes: tuple[IntegerNode, ...]

    def run(self, frames: Tensor) -> Mapping[str, Tensor]:
        """Everything that the nodes put out, by name, [T, B, ...], for binary frames uint8 [B, T, ...].

        Raises SaformerError: frames of another shape or of other numbers than 0 and 1, or more timesteps than the
        neurons are exact for.
        """
        if tuple(frames.shape[2:]) != self.network.input_shape or frames.dtype != torch.uint8:
            raise SaformerError(
                f"the network reads uint8 frames [B, T, {', '.join(map(str, self.network.input_shape))}], "
                f"not {str(frames.dtype).removeprefix('torch.')} {list(frames.shape)}"
            )
        if int(frames.max()) > 1:
            raise SaformerError(f"frames hold 0 and 1, and these have a {int(frames.max())}")
        self._check_widths(frames.shape[1])
        x, values = frames.transpose(0, 1), {}
        for node in self.nodes:
            x = values[node.node.name] = node.run(x)
        return values

    def _check_widths(self, timesteps: int) -> None:
        for node in self.nodes:
            if isinstance(node, IntegerNeurons):
                bits = membrane_bits(node.dynamics, current_bits=_CURRENT_BITS, timesteps=timesteps)
                if bits > EXACT_BITS:
                    raise node.node.refuse(
                        f"its membrane needs {bits} bits after {timesteps} timesteps, and {EXACT_BITS} are exact: "
                        "take fewer timesteps"
                    )


_CURRENT_BITS = 32


def predictions(values: Mapping[str, Tensor]) -> Tensor:
    """The feature with the largest output summed over time, int64 [B], the first one on a tie."""
    return next(reversed(values.values())).sum(dim=0, dtype=torch.int64).flatten(1).argmax(dim=1)


def decay(node: Neurons, reads: Shape, dt: float) -> Fraction:
    """What the neurons keep at a step. Raises SaformerError: not one multiple of 1/16 from 0 to 1 for all."""
    if node.tau is None:
        return Fraction(1)
    keeps = 1 - dt / node.by_channel("tau", node.tau, reads)
    if (keeps != keeps[0]).any():
        raise node.refuse("tau differs between channels; one for all is supported")
    keep = float(keeps[0])
    nearest = Fraction(round(SIXTEENTHS * keep), SIXTEENTHS)
    if abs(keep - nearest) > _NEAR or not 0 <= nearest < 1:
        raise node.refuse(
            f"keeps {keep:.6g} of its membrane at a step of {dt:g} s (1 - dt / tau); exact neurons keep a multiple of "
            "1/16 below 1: choose another step with --dt, or another tau"
        )
    return nearest


def quantise_network(network: FeedForward, *, dt: float, weight_bits: int = 8) -> IntegerFeedForward:
    """The integer model of a network, at steps of `dt` seconds.

    Weights are rounded to `weight_bits` with one scale for each output channel: a power of two, with which nothing is
    lost, where all weights of a node are whole numbers within those bits. Biases and thresholds have the same scale.

    Raises SaformerError: a neuron that has no exact form, or a number that is too large, with the name of the node.
    """
    limit, nodes = 2 ** (weight_bits - 1) - 1, []
    unit = np.ones(network.input_shape[0])  # 1.0 in whole numbers, by channel
    shape = network.input_shape
    for node, after in zip(network.nodes, network.shapes(), strict=True):
        match node:
            case Convolution() | Dense():
                # What it reads has one unit for all channels: spikes, or sums of them.
                made, unit = _weights(node, float(unit[0]), limit)
            case Pool():
                made, unit = IntegerPool(node=node), unit * (np.prod(node.kernel) if node.average else 1)
            case Flatten():
                made, unit = IntegerFlatten(node=node), np.repeat(unit, np.prod(shape[1:], dtype=int))
            case Neurons():
                made, unit = _neurons(node, shape, unit, dt), np.ones(shape[0])
        nodes.append(made)
        shape = after
    return IntegerFeedForward(network=network, nodes=tuple(nodes))


def _weights(node: Convolution | Dense, reads: float, limit: int) -> tuple[IntegerWeights, np.ndarray]:
    """The integer layer, and 1.0 in units of its currents, [Co]; it reads numbers of which `reads` are 1.0."""
    weight = np.asarray(node.weight, np.float64)
    largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    largest = np.where(largest > 0, largest, limit)
    whole = (weight == np.round(weight)).all() and largest.max() <= limit
    # A weight of w adds w / reads for each unit that it reads.
    scale = 2.0 ** np.floor(np.log2(limit / largest)) if whole else limit / largest
    unit = scale * reads
    bias = np.zeros(len(weight)) if node.bias is None else np.asarray(node.bias, np.float64)
    integers = np.round(weight * scale.reshape(-1, *[1] * (weight.ndim - 1)))
    made = IntegerWeights(
        node=node,
        weight=torch.from_numpy(integers).to(torch.int8),
        bias=_parameter(node, "its bias", bias * unit),
    )
    return made, unit


def _neurons(node: Neurons, reads: Shape, unit: np.ndarray, dt: float) -> IntegerNeurons:
    keep = decay(node, reads, dt)
    r, threshold, v_reset = (
        node.by_channel(field, getattr(node, field), reads) for field in ("r", "v_threshold", "v_reset")
    )
    if (v_reset != 0).any():
        first = v_reset[v_reset != 0][0]
        raise node.refuse(f"resets to {first:g}; here neurons start at 0 and reset to 0, or take the threshold away")
    if (r <= 0).any():
        raise node.refuse(f"r is {r.min():g}; it must be above 0")
    leak = np.zeros(reads[0]) if node.v_leak is None else node.by_channel("v_leak", node.v_leak, reads)
    # Membranes are in units of r: v / r = keep v / r + (1 - keep) (x + v_leak / r).
    return IntegerNeurons(
        node=node,
        dynamics=Binary(keep=keep, gain=1 - keep if keep != 1 else Fraction(1)),
        threshold=_parameter(node, "its threshold", threshold / r * unit),
        leak=_parameter(node, "its leak", leak / r * unit),
    )


def _parameter(node: Node, what: str, values: np.ndarray) -> Tensor:
    limit = parameter_limit()
    if not np.isfinite(values).all() or np.abs(values).max() > limit:
        raise node.refuse(f"{what} reaches {np.abs(values).max():g} in units of its weights; at most {limit} is exact")
    return torch.from_numpy(np.round(values)).to(torch.int32)
