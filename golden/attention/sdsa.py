"""Spike-driven self-attention (M. Yao et al., NeurIPS 2023), with the roles that the public code gives Q, K and V."""

from collections.abc import Mapping

import torch
from torch import Tensor

from golden.attention.core import UNIT_BITS, Core, Work, per_step
from golden.config import ModelConfig

THRESHOLD = 0.5


class Sdsa(Core):
    """LIF_0.5(sum over tokens of K * V) * Q: a mask of channels, as SASA's, but of full maps and with a value."""

    parts = ("q", "k", "v")
    threshold = int(THRESHOLD * 2**UNIT_BITS)

    def counts(self, spikes: Mapping[str, Tensor], *, heads: int) -> Tensor:
        return (spikes["k"] * spikes["v"]).sum(dim=(-2, -1), keepdim=True).to(spikes["k"].dtype)

    def output(self, fired: Tensor, spikes: Mapping[str, Tensor], *, heads: int) -> Tensor:
        return fired * spikes["q"]

    def neurons(self, config: ModelConfig) -> int:
        return config.dim

    def operations(self, config: ModelConfig) -> int:
        return config.tokens * config.dim

    def largest(self, config: ModelConfig) -> int:
        return config.tokens

    def work(self, spikes: Mapping[str, Tensor], *, heads: int) -> Work:
        hits = per_step(spikes["k"] * spikes["v"])
        return Work(accumulates=hits, additions=torch.zeros_like(hits))
