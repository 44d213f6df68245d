"""Spiking self-attention of Spikformer (Z. Zhou et al., ICLR 2023): LIF((Q K^T V) * 0.125), without softmax."""

from collections.abc import Mapping

from torch import Tensor

from golden.attention.core import UNIT_BITS, Core, Work, from_heads, per_head, per_step
from golden.config import ModelConfig

SCALE, THRESHOLD = 0.125, 0.5


class Ssa(Core):
    """LIF_0.5((Q K^T) V * s) in every head. The scale goes into the threshold: 0.5 / 0.125 = 4 counts."""

    parts = ("q", "k", "v")
    threshold = int(THRESHOLD / SCALE * 2**UNIT_BITS)

    def counts(self, spikes: Mapping[str, Tensor], *, heads: int) -> Tensor:
        q, k, v = (per_head(spikes[part], heads) for part in self.parts)
        return from_heads((q @ k.transpose(-1, -2)) @ v, spikes["q"].shape[-2:])

    def output(self, fired: Tensor, spikes: Mapping[str, Tensor], *, heads: int) -> Tensor:
        return fired

    def neurons(self, config: ModelConfig) -> int:
        return config.tokens * config.dim

    def operations(self, config: ModelConfig) -> int:
        return 2 * config.tokens**2 * config.dim

    def largest(self, config: ModelConfig) -> int:
        return config.tokens * config.dim // config.heads

    def work(self, spikes: Mapping[str, Tensor], *, heads: int) -> Work:
        q, k, v = (per_head(spikes[part].long(), heads) for part in self.parts)
        scores = q @ k.transpose(-1, -2)
        # A score is added to the sum of every channel whose value fires.
        additions = scores.ne(0).long().sum(dim=-2) * v.sum(dim=-1)
        return Work(accumulates=per_step(scores), additions=per_step(additions))
