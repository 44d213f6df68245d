"""Mechanisms with a score for every pair of tokens: (Q K^T) V in every head, without softmax."""

from collections.abc import Mapping

from torch import Tensor

from golden.attention.core import Core, from_heads, per_head
from golden.config import ModelConfig


class Scores(Core):
    """A neuron for every token and channel integrates (Q K^T) V and puts out its spikes."""

    parts = ("q", "k", "v")

    def counts(self, spikes: Mapping[str, Tensor], *, heads: int) -> Tensor:
        q, k, v = (per_head(spikes[part], heads) for part in self.parts)
        return from_heads((q @ k.transpose(-1, -2)) @ v, spikes["q"].shape[-2:])

    def output(self, fired: Tensor, spikes: Mapping[str, Tensor], *, heads: int) -> Tensor:
        return fired

    def neurons(self, config: ModelConfig) -> int:
        return config.tokens * config.dim

    def operations(self, config: ModelConfig) -> int:
        return 2 * config.tokens**2 * config.dim
