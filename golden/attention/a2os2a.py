"""Accurate addition-only spiking self-attention (A2OS2A): binary queries, counted keys, ternary values."""

from collections.abc import Mapping

import torch
from torch import Tensor

from golden.attention.core import UNIT_BITS, Work, per_head, per_step
from golden.attention.scores import Scores
from golden.config import ModelConfig, NeuronKind
from golden.neurons.dynamics import Dynamics
from golden.neurons.kinds import Ternary
from golden.neurons.registry import attention_neuron, neuron_of

THRESHOLD = 0.5
# ReLU(K) is counted in halves of the network's threshold, so that the channels of a score have one unit.
KEY_SHARE = 0.5


class A2os2a(Scores):
    """LIF_0.5((Q K^T) V) in every head: no softmax and no scale, and no product, for Q and V have only signs."""

    threshold = int(THRESHOLD / KEY_SHARE * 2**UNIT_BITS)

    def neuron(self, part: str, config: ModelConfig) -> Dynamics:
        if part == "k":
            return neuron_of(NeuronKind.RELU_COUNT, config)
        binary = attention_neuron(config)
        return Ternary(keep=binary.keep, gain=binary.gain, low=-1) if part == "v" else binary

    def share(self, part: str) -> float:
        return KEY_SHARE if part == "k" else 1.0

    def largest(self, config: ModelConfig) -> int:
        return config.levels * config.tokens * config.dim // config.heads

    def work(self, spikes: Mapping[str, Tensor], *, heads: int) -> Work:
        q, k, v = (per_head(spikes[part].long(), heads) for part in self.parts)
        # A spike of Q adds the count of K that it meets; a score is added where V fires, with V's sign.
        keys = q @ k.ne(0).long().transpose(-1, -2)
        scores = (q @ k.transpose(-1, -2)).ne(0).long()
        values = scores.sum(dim=-2) * v.abs().sum(dim=-1)
        return Work(accumulates=torch.zeros_like(per_step(q)), additions=per_step(keys) + per_step(values))
