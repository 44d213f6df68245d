"""What a spiking network that was converted does over time: accuracy and spikes."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from golden.conversion.integer import integer_form, obstacle, widths
from golden.conversion.networks import quantisers
from golden.conversion.spiking import IfNeuron, Scheme, convert
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


def report(network: nn.Module, *, images: ImageSet, steps: Sequence[int]) -> dict:
    """Everything about the conversion of a quantised network, in evaluation.

    Keys: accuracy (of the network itself), differences (of PMSM at one timestep: all values, of all images), quantisers
    (see `describe`), results (scheme and what `measure` says, for every scheme and every number of `steps`), integer
    (accuracy of the integer form at one timestep, and its widths; None where there is none).
    """
    names = list(quantisers(network))
    results = [
        {"scheme": str(scheme)}
        | measure(convert(network, scheme, timesteps=timesteps), names=names, timesteps=timesteps, images=images)
        for scheme in Scheme
        for timesteps in steps
    ]
    return {
        "images": len(images),
        "accuracy": measure(network, names=(), timesteps=1, images=images)["accuracy"],
        "differences": sum(differences(network, images.images).values()),
        "quantisers": describe(network),
        "results": results,
        "integer": _integer(network, images) if obstacle(network) is None else None,
    }


def _integer(network: nn.Module, images: ImageSet) -> dict:
    whole = integer_form(network, timesteps=1)
    return {
        "accuracy": measure(whole, names=(), timesteps=1, images=images)["accuracy"],
        "widths": [width.to_dict() for width in widths(whole, timesteps=1)],
    }


def _counter(spikes: dict[str, int], name: str) -> Callable:
    def count(module: nn.Module, _inputs: tuple, output: Tensor) -> None:
        worth = module.worth if isinstance(module, IfNeuron) else 1
        spikes[name] += int(output.abs().sum(dtype=torch.float64)) // worth

    return count


def differences(network: nn.Module, images: Tensor, *, batch: int = BATCH) -> dict[str, int]:
    """Values in which the PMSM network at one timestep differs from the quantised one, layer by layer, and in logits.

    `images` are uint8 [K, C, H, W]. Layers are compared call by call, in every value of every image.
    """
    spiking = convert(network, Scheme.PMSM, timesteps=1)
    names = list(quantisers(network))
    found = dict.fromkeys([*names, "logits"], 0)
    for pixels in images.split(batch):
        pairs = zip(_outputs(network, names, pixels), _outputs(spiking, names, pixels), strict=True)
        for (name, one), (_, other) in pairs:
            found[name] += int((one != other).sum())
    return found


def _outputs(network: nn.Module, names: list[str], pixels: Tensor) -> list[tuple[str, Tensor]]:
    """What the modules of these names put out, in the order of their calls, and the logits."""
    found: list[tuple[str, Tensor]] = []
    hooks = [
        network.get_submodule(name).register_forward_hook(lambda _m, _i, out, name=name: found.append((name, out)))
        for name in names
    ]
    with torch.no_grad():
        logits = network(pixels.to(next(network.parameters()).dtype), timesteps=1)
    for hook in hooks:
        hook.remove()
    return [*found, ("logits", logits)]


def describe(network: nn.Module) -> list[dict]:
    """The quantisers of a network in the order in which they run: name, threshold, bounds, bits of an output, and
    the entropy of its outputs in bits, before and after its threshold was chosen (None where it was not)."""
    rows = []
    for name, quantiser in quantisers(network).items():
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
