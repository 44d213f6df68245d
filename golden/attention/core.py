"""What a mechanism of spiking attention has to say about itself."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from golden.config import ModelConfig

UNIT_BITS = 4
"""A mechanism's neuron, as SASA's mask, computes in units of 2**-4 of a count: a threshold need not be a whole one."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """Operations that were executed, int64 [T]: accumulates of single bits, and additions of wider numbers."""

    accumulates: Tensor
    additions: Tensor


class Core(ABC):
    """A mechanism between the projections of Q, K, V and that of the output: spikes in, counts, a neuron, spikes out.

    The same code serves training and the integer model: on spikes it computes whole numbers, in any type that holds
    them. Spikes are [T, B, D, H, W]; tokens are the positions of [H, W].

    Members
    -------
    parts: the projections whose spikes it reads, of "q", "k", "v".
    threshold: of its neuron, in units of 2**-UNIT_BITS of a count.
    """

    parts: tuple[str, ...]
    threshold: int

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
    def operations(self, config: ModelConfig) -> int:
        """Operations of one timestep if everything fired."""

    @abstractmethod
    def largest(self, config: ModelConfig) -> int:
        """The largest count: what the sum's width follows from."""

    @abstractmethod
    def work(self, spikes: Mapping[str, Tensor], *, heads: int) -> Work:
        """Operations that these spikes, integers, cause."""


def per_step(x: Tensor) -> Tensor:
    """Sums over all axes but the first, int64 [T]."""
    return x.flatten(1).sum(dim=1, dtype=torch.int64)


def per_head(x: Tensor, heads: int) -> Tensor:
    """[T, B, D, H, W] as [T, B, heads, tokens, D / heads]."""
    return x.flatten(-2).unflatten(2, (heads, -1)).transpose(-1, -2)
