"""The leaky integrate-and-fire neuron (eq. 1-3) with a surrogate gradient, for training."""

import torch
from torch import Tensor, nn

from golden.config import Reset

SURROGATE_SLOPE = 4.0


class _Lif(torch.autograd.Function):
    """Spikes of a whole train. The derivative of a spike is that of sigmoid(slope * (h - th) / th); reset detached."""

    @staticmethod
    def forward(ctx, x: Tensor, threshold: Tensor, reset: Reset, floor: bool) -> Tensor:
        membranes = torch.empty_like(x, memory_format=torch.preserve_format)
        spikes = torch.empty_like(membranes)
        carried = None
        for step, current in enumerate(x.unbind(0)):
            h, s = membranes[step], spikes[step]
            torch.mul(current if carried is None else carried + current, 0.5, out=h)
            if floor:
                h.floor_()
            s.copy_(h).ge_(threshold)
            if step + 1 < len(x):
                carried = h * (1 - s) if reset is Reset.HARD else h - s * threshold
        ctx.save_for_backward(membranes, spikes, threshold)
        ctx.hard = reset is Reset.HARD
        return spikes

    @staticmethod
    def backward(ctx, grad: Tensor):
        membranes, spikes, threshold = ctx.saved_tensors
        slope = SURROGATE_SLOPE / threshold
        result = torch.empty_like(membranes)
        carried = None
        for step in reversed(range(len(membranes))):
            soft = torch.sigmoid((membranes[step] - threshold).mul_(slope))
            through = torch.ops.aten.sigmoid_backward(grad[step], soft).mul_(slope)
            if carried is not None:
                through += carried * (1 - spikes[step]) if ctx.hard else carried
            carried = torch.mul(through, 0.5, out=result[step])
        return result, None, None, None


class Neuron(nn.Module):
    """LIF with tau = 2, v = 0 before the first step: currents [T, B, C, H, W] to spikes of the same shape.

    Parameters
    ----------
    threshold: a number, or one for each channel, [C].
    reset: what a spike does to the membrane.
    floor: round the membrane down to integers, as the integer model does; currents and threshold must be integers.
    """

    def __init__(self, *, threshold: float | Tensor, reset: Reset, floor: bool = False):
        super().__init__()
        threshold = torch.as_tensor(threshold, dtype=torch.float32).reshape(-1, 1, 1)
        self.register_buffer("threshold", threshold, persistent=floor)
        self.reset = reset
        self.floor = floor

    def forward(self, current: Tensor, times: float = 1) -> Tensor:
        """Spikes for a threshold `times` as high, as sums over `times` currents need it."""
        threshold = self.threshold.double() * times
        threshold = (threshold.floor() if self.floor else threshold).to(current.dtype)
        return _Lif.apply(current, threshold, self.reset, self.floor)
