"""Attention of real numbers (A. Vaswani et al., NeurIPS 2017): what the spiking mechanisms are compared with."""

from torch import Tensor
from torch.nn import functional as F

from golden.attention.core import Mechanism, from_heads, per_head
from golden.config import ModelConfig


class Vsa(Mechanism):
    """softmax(Q K^T / sqrt(d)) V in every head, of the projections' currents, without any neuron."""

    parts = ("q", "k", "v")

    def operations(self, config: ModelConfig) -> int:
        return 2 * config.tokens**2 * config.dim

    def exponentials(self, config: ModelConfig) -> int:
        return config.tokens**2 * config.heads

    def output(self, q: Tensor, k: Tensor, v: Tensor, *, heads: int) -> Tensor:
        """[T, B, D, H, W] each."""
        mixed = F.scaled_dot_product_attention(*(per_head(x, heads) for x in (q, k, v)))
        return from_heads(mixed, q.shape[-2:])
