"""What a neuron does with its current: the same formulas for training in floating point and for exact integers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from golden.config import Reset

SURROGATE_SLOPE = 4.0


@dataclass(frozen=True, kw_only=True)
class Dynamics(ABC):
    """One kind of neuron: `h = keep * v + gain * x`, an output that follows from h, and the next v from both.

    A binary output fires at `h >= threshold`; a wider one is a whole number of thresholds from `low` to `high`.

    Members
    -------
    keep: share of the membrane that stays from step to step; gain: share of the current that is added to it.
    low, high: bounds of the output.
    """

    keep: Fraction
    gain: Fraction
    low: int = 0
    high: int = 1

    @property
    def bits(self) -> int:
        """Width of one output: 1 for a spike, 2 for a signed one."""
        return self.high.bit_length() if self.low == 0 else max(self.high, -self.low - 1).bit_length() + 1

    @property
    def binary(self) -> bool:
        """Whether it fires or not, at a threshold of either sign; all others need a positive one."""
        return (self.low, self.high) == (0, 1)

    @property
    def floors(self) -> bool:
        """Whether membranes may be rounded down to integers at every step without changing an output.

        True of binary neurons that keep half: fl((v + x) / 2) >= threshold if and only if v + x >= 2 * threshold. Not
        true where the membrane is compared with a negative threshold from above, or divided by it.
        """
        return False

    @property
    def shift(self) -> int:
        """Fractional bits that a step adds to an exact membrane."""
        return max(self.keep.denominator, self.gain.denominator).bit_length() - 1

    @abstractmethod
    def fire(self, h: Tensor, threshold: Tensor) -> Tensor:
        """The output, a number or a boolean."""

    @abstractmethod
    def spend(self, h: Tensor, fired: Tensor, threshold: Tensor, reset: Reset) -> Tensor:
        """The membrane after the output."""

    @abstractmethod
    def backward(self, grad: Tensor, h: Tensor, threshold: Tensor) -> Tensor:
        """`grad` times what stands for the derivative of the output by `h` in training."""

    @abstractmethod
    def stays(self, fired: Tensor, reset: Reset) -> Tensor | None:
        """Derivative of `spend` by `h` with the output held, for the gradient to the steps before; None for 1."""


def through_sigmoid(grad: Tensor, distance: Tensor, threshold: Tensor) -> Tensor:
    """`grad` times the derivative of sigmoid(slope * distance / threshold): a bell around the threshold.

    `distance` is overwritten: fresh memory costs training more than arithmetic.
    """
    slope = SURROGATE_SLOPE / threshold
    return torch.ops.aten.sigmoid_backward(grad, distance.mul_(slope).sigmoid_()).mul_(slope)
