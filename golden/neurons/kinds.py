"""The kinds of neurons: binary (LIF, IF), ternary, counting (a quantised ReLU) and multi-spike (PMSM)."""

import torch
from torch import Tensor

from golden.config import Reset
from golden.neurons.dynamics import Dynamics, through_sigmoid


class Binary(Dynamics):
    """A spike where the membrane reaches the threshold (eq. 1-3): LIF where some of it leaks, IF where none does."""

    @property
    def floors(self) -> bool:
        return 2 * self.keep == 2 * self.gain == 1

    def fire(self, h: Tensor, threshold: Tensor) -> Tensor:
        return h >= threshold

    def spend(self, h: Tensor, fired: Tensor, threshold: Tensor, reset: Reset) -> Tensor:
        return torch.addcmul(h, h if reset is Reset.HARD else threshold, fired, value=-1)

    def backward(self, grad: Tensor, h: Tensor, threshold: Tensor) -> Tensor:
        return through_sigmoid(grad, h - threshold, threshold)

    def stays(self, fired: Tensor, reset: Reset) -> Tensor | None:
        return 1 - fired if reset is Reset.HARD else None


class Ternary(Dynamics):
    """sign(h) where |h| reaches the threshold, which is positive; hard reset to 0, soft by the signed threshold."""

    def fire(self, h: Tensor, threshold: Tensor) -> Tensor:
        return (h >= threshold).to(h.dtype) - (-h >= threshold).to(h.dtype)

    def spend(self, h: Tensor, fired: Tensor, threshold: Tensor, reset: Reset) -> Tensor:
        return h * (1 - fired.abs()) if reset is Reset.HARD else h - fired * threshold

    def backward(self, grad: Tensor, h: Tensor, threshold: Tensor) -> Tensor:
        return through_sigmoid(grad, h - threshold, threshold) + through_sigmoid(grad, -h - threshold, threshold)

    def stays(self, fired: Tensor, reset: Reset) -> Tensor | None:
        return 1 - fired.abs() if reset is Reset.HARD else None


class Levels(Dynamics):
    """clip(floor(h / threshold + 1/2), low, high); ties go up. The threshold is positive.

    With `keep` 0 it is a quantised ReLU (low = 0), without any memory; with 1 it emits several spikes of one sign at a
    step and takes each from the membrane (PMSM), whatever the reset.
    """

    def fire(self, h: Tensor, threshold: Tensor) -> Tensor:
        return torch.div(2 * h + threshold, 2 * threshold, rounding_mode="floor").clamp(self.low, self.high)

    def spend(self, h: Tensor, fired: Tensor, threshold: Tensor, reset: Reset) -> Tensor:
        return h - fired * threshold

    def backward(self, grad: Tensor, h: Tensor, threshold: Tensor) -> Tensor:
        """Straight through the rounding, nothing where the output is at a bound."""
        inside = (h >= (self.low - 0.5) * threshold) & (h <= (self.high + 0.5) * threshold)
        return grad * inside / threshold

    def stays(self, fired: Tensor, reset: Reset) -> Tensor | None:
        return None
