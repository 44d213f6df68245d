"""Thresholds and bounds from data: those that let the quantised outputs of a layer carry the most information."""

from fractions import Fraction

import torch
from torch import Tensor, nn

from golden.conversion.config import ConversionConfig
from golden.conversion.networks import quantisers
from golden.conversion.quantiser import Quantiser
from golden.neurons.kinds import Levels

_BATCH = 64
CANDIDATES = torch.logspace(-2, 2, steps=49, base=2.0)
"""Thresholds that are tried, times the one before: from a quarter to four times, twelve to a doubling."""
_SAMPLES = 2**20


def entropy(levels: Tensor) -> float:
    """Entropy of numbers by their frequencies, in bits."""
    _, counts = levels.unique(return_counts=True)
    share = counts.double() / counts.sum()
    return max(0.0, float(-(share * share.log2()).sum()))


def adjust(network: nn.Module, config: ConversionConfig, images: Tensor) -> None:
    """Choose threshold and bounds of every quantiser, in the order in which they run, on `images` uint8 [K, C, H, W].

    Of `CANDIDATES` the threshold with the largest entropy is taken, the first of several, and then the bounds that
    occur with it: at least one level, at most those of the configuration. A layer sees what those before it put out
    with their new thresholds; what reads the stream in several places is chosen on all of them together.
    """
    for quantiser in quantisers(network).values():
        numbers = _inputs(network, quantiser, images)
        quantiser.entropy[0] = entropy(_levels(numbers, quantiser.threshold, *quantiser.bounds.tolist()))
        low, high = -config.negative_levels, config.model.levels
        tried = [(entropy(_levels(numbers, scale * quantiser.threshold, low, high)), scale) for scale in CANDIDATES]
        best = max(value for value, _ in tried)
        scale = next(scale for value, scale in tried if value == best)
        quantiser.set(threshold=float(scale * quantiser.threshold), low=low, high=high)
        levels = _levels(numbers, quantiser.threshold, low, high)
        bounds = {"low": min(0, int(levels.min())), "high": max(1, int(levels.max()))}
        quantiser.set(threshold=float(quantiser.threshold), **bounds)
        quantiser.entropy[1] = entropy(levels)


def _levels(numbers: Tensor, threshold: Tensor, low: int, high: int) -> Tensor:
    return Levels(keep=Fraction(0), gain=Fraction(1), low=low, high=high).fire(numbers, threshold)


def _inputs(network: nn.Module, quantiser: Quantiser, images: Tensor) -> Tensor:
    """What a quantiser reads, in units of a threshold that is used once: double [some], not more than `_SAMPLES`."""
    found: list[Tensor] = []

    def record(_module: nn.Module, inputs: tuple) -> None:
        x, times = (*inputs, 1)[:2]
        found.append((x.double() / times).flatten())

    hook = quantiser.register_forward_pre_hook(record)
    training = network.training
    network.eval()
    with torch.no_grad():
        for some in images.split(_BATCH):
            network(some.float(), timesteps=1)
    network.train(training)
    hook.remove()
    numbers = torch.cat(found)
    return numbers[:: -(-len(numbers) // _SAMPLES)]
