"""Neurons on integers, without any rounding that an output could show: part of the specification."""

import torch
from torch import Tensor

from golden.config import Reset
from golden.neurons.dynamics import Dynamics

EXACT_BITS = 53
"""Width of an exact membrane: what a double holds, so that training in doubles computes the same."""


def membrane_bits(dynamics: Dynamics, *, current_bits: int, timesteps: int) -> int:
    """Width of a membrane, signed, for currents and thresholds of `current_bits`, signed, at the last of T timesteps.

    At every step a membrane grows by less than a current and a threshold, and by the fractional bits of the decay;
    where it may be rounded down, by one bit in all.
    """
    if dynamics.floors:
        return current_bits + 1
    growth = (2 * timesteps).bit_length()
    return current_bits + growth + dynamics.shift * timesteps


def lif_step(v: Tensor, x: Tensor, threshold: Tensor | int, *, reset: Reset) -> tuple[Tensor, Tensor]:
    """One timestep of LIF with tau = 2: membrane and current in, membrane and spikes (bool) out (eq. 1-3)."""
    v = (v + x) >> 1
    fires = v >= threshold
    # Products with bools: choosing between two tensors is ten times slower.
    return v * ~fires if reset is Reset.HARD else v - threshold * fires, fires


def lif(x: Tensor, threshold: Tensor | int, *, reset: Reset) -> Tensor:
    """Spikes of LIF with tau = 2 for currents [T, ...], with the membrane 0 before the first step."""
    v, spikes = torch.zeros_like(x[0]), torch.empty_like(x, dtype=torch.uint8)
    for step, current in enumerate(x):
        v, spikes[step] = lif_step(v, current, threshold, reset=reset)
    return spikes


def run_neuron(dynamics: Dynamics, x: Tensor, threshold: Tensor | int, *, reset: Reset) -> Tensor:
    """Outputs of a neuron for integer currents [T, ...]: uint8, or int8 where they have a sign.

    A membrane after t steps is held as an integer multiple of 2**(-shift * t), and the threshold brought to that.
    """
    if dynamics.floors:
        return lif(x, threshold, reset=reset)
    unit = 2**dynamics.shift
    keep, gain = int(dynamics.keep * unit), int(dynamics.gain * unit)
    v, threshold, outputs = torch.zeros_like(x[0], dtype=torch.int64), torch.as_tensor(threshold).long(), []
    for step, current in enumerate(x.long()):
        h, scaled = keep * v + gain * unit**step * current, threshold * unit ** (step + 1)
        fired = dynamics.fire(h, scaled).long()
        v = dynamics.spend(h, fired, scaled, reset)
        outputs.append(fired)
    return torch.stack(outputs).to(torch.int8 if dynamics.low < 0 else torch.uint8)
