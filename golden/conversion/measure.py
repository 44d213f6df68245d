"""What a spiking network that was converted does over time: accuracy and spikes."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from golden.conversion.networks import in_use
from golden.conversion.quantiser import Quantiser
from golden.conversion.spiking import IfNeuron
from golden.data import ImageSet

BATCH = 100


def measure(network: nn.Module, *, names: Iterable[str], timesteps: int, images: ImageSet) -> dict:
    """Run a spiking network, of `golden.conversion.spiking`, on images.

    Keys: timesteps, accuracy, layers (the neurons of these names, and their spikes for each image), spikes (of all of
    them). A value of m, of either sign, is m spikes.
    """
    spikes, right = dict.fromkeys(names, 0), 0
    hooks = [network.get_submodule(name).register_forward_hook(_counter(spikes, name)) for name in spikes]
    kind = next(network.parameters()).dtype
    with torch.no_grad():
        for pixels, labels in zip(images.images.split(BATCH), images.labels.split(BATCH), strict=True):
            right += int((network.scores(pixels.to(kind), timesteps).argmax(dim=1) == labels).sum())
    for hook in hooks:
        hook.remove()
    layers = [{"name": name, "spikes": total / len(images)} for name, total in spikes.items()]
    return {
        "timesteps": timesteps,
        "accuracy": right / len(images),
        "spikes": sum(layer["spikes"] for layer in layers),
        "layers": layers,
    }


def _counter(spikes: dict[str, int], name: str) -> Callable:
    def count(module: nn.Module, _inputs: tuple, output: Tensor) -> None:
        worth = module.worth if isinstance(module, IfNeuron) else 1
        spikes[name] += int(output.abs().sum(dtype=torch.float64)) // worth

    return count


def describe(network: nn.Module) -> list[dict]:
    """The quantisers of a network in the order in which they run: name, threshold, bounds, bits of an output, and
    the entropy of its outputs in bits, before and after its threshold was chosen (None where it was not)."""
    rows = []
    for name, quantiser in in_use(network, Quantiser).items():
        low, high = quantiser.bounds.tolist()
        before, after = (None if value != value else value for value in quantiser.entropy.tolist())
        rows.append(
            {
                "name": name,
                "threshold": float(quantiser.threshold),
                "low": low,
                "high": high,
                "bits": quantiser.neuron(keep=0).dynamics.bits,
                "entropy_before": before,
                "entropy_after": after,
            }
        )
    return rows
