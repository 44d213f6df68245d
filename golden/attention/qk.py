"""Q-K attention of QKFormer (C. Zhou et al., NeurIPS 2024): a mask of tokens or of channels from Q alone, on K."""

from collections.abc import Mapping

import torch
from torch import Tensor

from golden.attention.core import UNIT_BITS, Core, Work, per_step
from golden.config import ModelConfig

THRESHOLD = 0.5


class _Qk(Core):
    parts = ("q", "k")
    threshold = int(THRESHOLD * 2**UNIT_BITS)

    def operations(self, config: ModelConfig) -> int:
        return config.tokens * config.dim

    def work(self, spikes: Mapping[str, Tensor], *, heads: int) -> Work:
        fired = per_step(spikes["q"])
        return Work(accumulates=fired, additions=torch.zeros_like(fired))


class QkToken(_Qk):
    """LIF_0.5(sum over the channels of a head of Q) * K: every token of a head lives or not."""

    def counts(self, spikes: Mapping[str, Tensor], *, heads: int) -> Tensor:
        q = spikes["q"]
        return q.unflatten(2, (heads, -1)).sum(dim=3).to(q.dtype)  # [T, B, heads, H, W]

    def output(self, fired: Tensor, spikes: Mapping[str, Tensor], *, heads: int) -> Tensor:
        k = spikes["k"]
        return fired.repeat_interleave(k.shape[2] // heads, dim=2) * k

    def neurons(self, config: ModelConfig) -> int:
        return config.tokens * config.heads

    def largest(self, config: ModelConfig) -> int:
        return config.dim // config.heads


class QkChannel(_Qk):
    """LIF_0.5(sum over tokens of Q) * K: every channel lives or not."""

    def counts(self, spikes: Mapping[str, Tensor], *, heads: int) -> Tensor:
        q = spikes["q"]
        return q.sum(dim=(-2, -1), keepdim=True).to(q.dtype)

    def output(self, fired: Tensor, spikes: Mapping[str, Tensor], *, heads: int) -> Tensor:
        return fired * spikes["k"]

    def neurons(self, config: ModelConfig) -> int:
        return config.dim

    def largest(self, config: ModelConfig) -> int:
        return config.tokens
