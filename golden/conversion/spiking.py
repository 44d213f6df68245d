"""The spiking network of a quantised one: the same weights, and neurons in the place of quantisers."""

import copy
from collections.abc import Callable
from enum import StrEnum
from fractions import Fraction

import torch
from torch import Tensor, nn

from golden.config import Reset
from golden.conversion.networks import replace
from golden.conversion.quantiser import Quantiser
from golden.model import RealAttention
from golden.neurons.kinds import Binary
from golden.neurons.module import Neuron


class Scheme(StrEnum):
    """What a quantiser becomes."""

    PMSM = "pmsm"
    """Several spikes of one sign at a step, what they are worth taken from the membrane: at T = 1 the quantiser."""

    QCFS = "qcfs"
    """IF with soft reset, whose threshold is the largest level and whose membrane starts at half of it (Bu et al.,
    ICLR 2022)."""

    IF = "if"
    """The same, starting at 0."""


class IfNeuron(nn.Module):
    """IF with soft reset in the place of a quantiser: a spike is worth the largest level.

    `start` is the membrane before the first step, in thresholds. Currents [T, B, C, H, W] to levels of the same shape.
    """

    def __init__(self, quantiser: Quantiser, *, start: float):
        super().__init__()
        self.worth, self.start = int(quantiser.bounds[1]), start
        dynamics = Binary(keep=Fraction(1), gain=Fraction(1))
        self.neuron = Neuron(dynamics=dynamics, threshold=self.worth * quantiser.threshold, reset=Reset.SOFT)

    def forward(self, x: Tensor, times: float = 1) -> Tensor:
        current = x.double().clone()
        current[0] += self.start * times * self.neuron.threshold
        return self.worth * self.neuron(current, times).to(x.dtype)


class Differential(nn.Module):
    """A function that is not linear, of numbers that arrive over time: its value of what has come, step by step.

    Parameters
    ----------
    function: of one tensor or several, each [N, ...], position by position of the first axis.
    timesteps: T, which the first axis of the inputs begins with ([T * B, ...]).
    mean: of the mean of the steps so far, times their number, instead of their sum; for a function that does not scale
        with its input, such as a softmax. (What scales, such as a max-pool, is the same either way.)

    The sum of the outputs over the steps is the function of all that came. At T = 1 it is the function.
    """

    def __init__(self, function: Callable[..., Tensor], *, timesteps: int, mean: bool):
        super().__init__()
        self.function, self.timesteps, self.mean = function, timesteps, mean

    def forward(self, *inputs: Tensor, **settings: object) -> Tensor:
        if self.timesteps == 1:
            return self.function(*inputs, **settings)
        so_far = [x.unflatten(0, (self.timesteps, -1)).cumsum(dim=0) for x in inputs]
        values = []
        for step in range(self.timesteps):
            share = 1 / (step + 1) if self.mean else 1.0
            values.append(self.function(*(share * x[step] for x in so_far), **settings) / share)
        first, *others = values
        return torch.cat([first, *(after - before for before, after in zip(values, others, strict=False))])


def convert(network: nn.Module, scheme: Scheme, *, timesteps: int) -> nn.Module:
    """The spiking network of `network` for T = `timesteps` steps, in evaluation; `network` stays as it is.

    Max-pools and the attention of real numbers are computed of what has come so far (`Differential`). Neurons inside
    a spiking attention are the same as before, and see every step by itself.
    """
    network = copy.deepcopy(network).eval()
    make = {
        Scheme.PMSM: lambda quantiser: quantiser.neuron(keep=1),
        Scheme.QCFS: lambda quantiser: IfNeuron(quantiser, start=0.5),
        Scheme.IF: lambda quantiser: IfNeuron(quantiser, start=0.0),
    }[scheme]
    replace(network, lambda module: isinstance(module, Quantiser), make)
    replace(
        network,
        lambda module: isinstance(module, nn.MaxPool2d),
        lambda pool: Differential(pool, timesteps=timesteps, mean=False),
    )
    for attention in (module for module in network.modules() if isinstance(module, RealAttention)):
        attention.attend = Differential(attention.attend, timesteps=timesteps, mean=True)
    return network
