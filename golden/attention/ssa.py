"""Spiking self-attention of Spikformer (Z. Zhou et al., ICLR 2023): LIF((Q K^T V) * 0.125), without softmax."""

from collections.abc import Mapping

from torch import Tensor

from golden.attention.core import UNIT_BITS, Work, per_head, per_step
from golden.attention.scores import Scores
from golden.config import ModelConfig

SCALE, THRESHOLD = 0.125, 0.5


class Ssa(Scores):
    """LIF_0.5((Q K^T) V * s) in every head. The scale goes into the threshold: 0.5 / 0.125 = 4 counts."""

    threshold = int(THRESHOLD / SCALE * 2**UNIT_BITS)

    def largest(self, config: ModelConfig) -> int:
        return config.tokens * config.dim // config.heads

    def work(self, spikes: Mapping[str, Tensor], *, heads: int) -> Work:
        q, k, v = (per_head(spikes[part].long(), heads) for part in self.parts)
        scores = q @ k.transpose(-1, -2)
        # A score is added to the sum of every channel whose value fires.
        additions = scores.ne(0).long().sum(dim=-2) * v.sum(dim=-1)
        return Work(accumulates=per_step(scores), additions=per_step(additions))
