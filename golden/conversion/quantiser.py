"""The quantiser behind every layer of a network that is to be converted."""

from fractions import Fraction

import torch
from torch import Tensor, nn

from golden.config import Reset
from golden.neurons.kinds import Levels
from golden.neurons.module import Neuron

FRACTION = 2**-10
"""Thresholds are multiples of this, so that a tie is one in floating point too."""


class LevelNeuron(Neuron):
    """A neuron of several levels that computes in double precision in evaluation, where no float32 loses a bit."""

    def forward(self, current: Tensor, times: float = 1) -> Tensor:
        return super().forward(current if self.training else current.double(), times).to(current.dtype)


class Quantiser(nn.Module):
    """clip(floor(x / threshold + 1/2), low, high), ties upwards: whole levels, [T, B, C, H, W], every step by itself.

    Gradients pass straight through the rounding, and not where the output is at a bound.

    Parameters
    ----------
    threshold: one level, above 0; rounded to a multiple of `FRACTION`.
    low, high: bounds of the output.

    Members
    -------
    entropy: of its outputs, in bits, before and after `golden.conversion.adjust` chose its threshold; not a number
        where it did not.
    """

    def __init__(self, *, threshold: float, low: int, high: int):
        super().__init__()
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("bounds", torch.tensor([low, high]))
        self.register_buffer("entropy", torch.full((2,), torch.nan))
        self.set(threshold=threshold, low=low, high=high)

    def set(self, *, threshold: float, low: int, high: int) -> None:
        """Change threshold and bounds."""
        self.threshold.fill_(max(1, round(threshold / FRACTION)) * FRACTION)
        self.bounds.copy_(torch.tensor([low, high]))

    def neuron(self, *, keep: int) -> LevelNeuron:
        """The neuron of the same levels that keeps (1) or forgets (0) what is left of its membrane after a step."""
        low, high = self.bounds.tolist()
        dynamics = Levels(keep=Fraction(keep), gain=Fraction(1), low=low, high=high)
        neuron = LevelNeuron(dynamics=dynamics, threshold=self.threshold, reset=Reset.SOFT)
        return neuron.train(self.training)

    def forward(self, x: Tensor, times: float = 1) -> Tensor:
        """Outputs for a threshold `times` as high, as sums over `times` numbers need it."""
        return self.neuron(keep=0)(x, times)
