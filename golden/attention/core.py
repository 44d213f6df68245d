"""What a mechanism of attention has to say about itself."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from golden.config import ModelConfig
from golden.neurons.dynamics import Dynamics
from golden.neurons.registry import attention_neuron

UNIT_BITS = 4
"""A mechanism's neuron, as SASA's mask, computes in units of 2**-4 of a count: a threshold need not be a whole one."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Operations that were executed, int64 [T]: accumulates of single bits, and additions of wider numbers."""

    accumulates: Tensor
    additions: Tensor


class Mechanism(ABC):
    """A mechanism between the projections that it reads and that of the output.

    Members
    -------
    parts: the projections that it reads, of "q", "k", "v".
    """

    parts: tuple[str, ...]

    @abstractmethod
    def operations(self, config: ModelConfig) -> int:
        """Operations of one timestep if everything fired: accumulates, additions and multiplications."""

    def exponentials(self, config: ModelConfig) -> int:
        """Exponentials of a softmax at one timestep."""
        return 0


class Core(Mechanism):
    """A mechanism of spikes: spikes in, counts, a neuron, spikes out.

    The same code serves training and the integer model: on spikes it computes whole numbers, in any type that holds
    them. Spikes are [T, B, D, H, W]; tokens are the positions of [H, W].

    Members
    -------
    threshold: of its neuron, in units of 2**-UNIT_BITS of a count.
    """

    threshold: int

    def neuron(self, part: str, config: ModelConfig) -> Dynamics:
        """The neuron behind a projection."""
        return attention_neuron(config)

    def share(self, part: str) -> float:
        """Threshold of that neuron, as a share of the network's."""
        return 1.0

    @abstractmethod
    def counts(self, spikes: Mapping[str, Tensor], *, heads: int) -> Tensor:
        """What the neuron integrates, [T, B, C, H', W'] in whole counts."""

    @abstractmethod
    def output(self, fired: Tensor, spikes: Mapping[str, Tensor], *, heads: int) -> Tensor:
        """The input of the projection, [T, B, D, H, W], from the neuron's spikes."""

    @abstractmethod
    def neurons(self, config: ModelConfig) -> int:
        """Neurons of one image."""

    @abstractmethod
    def largest(self, config: ModelConfig) -> int:
        """The largest count, without its sign: what the sum's width follows from."""

    @abstractmethod
    def work(self, spikes: Mapping[str, Tensor], *, heads: int) -> Work:
        """Operations that these spikes, integers, cause."""


def per_step(x: Tensor) -> Tensor:
    """Sums over all axes but the first, int64 [T]."""
    return x.flatten(1).sum(dim=1, dtype=torch.int64)


def per_head(x: Tensor, heads: int) -> Tensor:
    """[T, B, D, H, W] as [T, B, heads, tokens, D / heads]."""
    return x.flatten(-2).unflatten(2, (heads, -1)).transpose(-1, -2)


def from_heads(x: Tensor, grid: tuple[int, int]) -> Tensor:
    """[T, B, heads, tokens, D / heads] as [T, B, D, H, W]."""
    return x.transpose(-1, -2).flatten(2, 3).unflatten(-1, grid)
