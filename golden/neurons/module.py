"""Neurons with a surrogate gradient, for training."""

import torch
from torch import Tensor, nn

from golden.config import Reset
from golden.neurons.dynamics import Dynamics


class _Fire(torch.autograd.Function):
    """Outputs of a whole train; what an output does to the membrane is not differentiated."""

    @staticmethod
    def forward(ctx, x: Tensor, threshold: Tensor, dynamics: Dynamics, reset: Reset, floor: bool) -> Tensor:
        membranes = torch.empty_like(x, memory_format=torch.preserve_format)
        outputs = torch.empty_like(membranes)
        keep, gain, carried = float(dynamics.keep), float(dynamics.gain), None
        for step, current in enumerate(x.unbind(0)):
            h, fired = membranes[step], outputs[step]
            torch.mul(current, gain, out=h)
            if carried is not None:
                h.add_(carried, alpha=keep)
            if floor:
                h.floor_()
            fired.copy_(dynamics.fire(h, threshold))
            if keep and step + 1 < len(x):
                carried = dynamics.spend(h, fired, threshold, reset)
        ctx.save_for_backward(membranes, outputs, threshold)
        ctx.dynamics, ctx.reset = dynamics, reset
        return outputs

    @staticmethod
    def backward(ctx, grad: Tensor):
        membranes, outputs, threshold = ctx.saved_tensors
        dynamics, carried = ctx.dynamics, None
        keep, gain = float(dynamics.keep), float(dynamics.gain)
        result = torch.empty_like(membranes)
        for step in reversed(range(len(membranes))):
            through = dynamics.backward(grad[step], membranes[step], threshold)
            if carried is not None:
                stays = dynamics.stays(outputs[step], ctx.reset)
                through = through.add_(carried) if stays is None else through.addcmul_(carried, stays)
            torch.mul(through, gain, out=result[step])
            if keep:
                # It is not written to: where both shares are the same, so are these.
                carried = result[step] if keep == gain else keep * through
        return result, None, None, None, None


class Neuron(nn.Module):
    """Currents [T, B, C, H, W] to outputs of the same shape, with the membrane 0 before the first step.

    Parameters
    ----------
    dynamics: the kind of neuron.
    threshold: a number, or one for each channel, [C].
    reset: what a spike does to the membrane.
    exact: compute what the integer model does; currents and thresholds must be integers.
    """

    def __init__(self, *, dynamics: Dynamics, threshold: float | Tensor, reset: Reset, exact: bool = False):
        super().__init__()
        threshold = torch.as_tensor(threshold, dtype=torch.float32).reshape(-1, 1, 1)
        self.register_buffer("threshold", threshold, persistent=exact)
        self.dynamics = dynamics
        self.reset = reset
        self.exact = exact

    def forward(self, current: Tensor, times: float = 1) -> Tensor:
        """Outputs for a threshold `times` as high, as sums over `times` currents need it."""
        threshold = self.threshold.double() * times
        if self.exact:
            threshold = threshold.floor()
        # Membranes with fractions need the bits of a double to be exact.
        wide = self.exact and not self.dynamics.floors
        x = current.double() if wide else current
        fired = _Fire.apply(x, threshold.to(x.dtype), self.dynamics, self.reset, self.exact and self.dynamics.floors)
        return fired.to(current.dtype)
