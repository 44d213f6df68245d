"""The integer form of a network that was converted to PMSM: exact, with the width of every number."""

from dataclasses import asdict, dataclass

import torch
from torch import nn

from golden.attention.registry import find_core
from golden.config import Attention, Head
from golden.conversion.networks import Vgg
from golden.conversion.spiking import Differential, Scheme, convert
from golden.energy.workload import is_real
from golden.errors import SaformerError
from golden.model import SAFormer
from golden.neurons.dynamics import Dynamics
from golden.neurons.exact import EXACT_BITS, membrane_bits
from golden.quantise import QuantisedClassifier, QuantisedLayer, quantise, quantise_layer

PIXEL = 255


def integer_form(network: nn.Module, *, timesteps: int) -> nn.Module:
    """The PMSM network for T = `timesteps` on integers: weights of the configuration's bits, batch norms folded.

    It computes on integers held in double precision, exactly: `widths` is the proof.

    Raises SaformerError: its attention is of real numbers, or puts numbers into the projection, or a number is wider
    than what is exact.
    """
    if (reason := obstacle(network)) is not None:
        raise SaformerError(reason)
    spiking = convert(network, Scheme.PMSM, timesteps=timesteps)
    whole = _quantise_vgg(spiking) if isinstance(spiking, Vgg) else quantise(spiking)
    for width in widths(whole, timesteps=timesteps):
        bits = max(width.sum_bits, width.membrane_bits or 0)
        if bits > EXACT_BITS:
            raise SaformerError(f"{width.name} needs {bits} bits, and {EXACT_BITS} are exact: take fewer timesteps")
    return whole.double()


def obstacle(network: nn.Module) -> str | None:
    """Why a network has no integer form at any number of timesteps, or None."""
    config = network.config
    if isinstance(network, SAFormer) and is_real(config):
        return f"attention {config.attention} is of real numbers: it has no integer form"
    if isinstance(network, SAFormer) and config.attention is Attention.SASA and not config.mix_neuron:
        return "the integer form needs a neuron before the projection: mix_neuron = true"
    return None


def _quantise_vgg(network: Vgg) -> Vgg:
    """Quantise a network where it is; returns it."""
    config, linear = network.config, network.head.linear
    network.layers = nn.ModuleList(quantise_layer(layer, config) for layer in network.layers)
    linear.weight.data /= network.positions
    network.positions, network.head = 1, QuantisedClassifier(linear=linear, config=config)
    return network


@dataclass(frozen=True, kw_only=True)
class Width:
    """Widths of the signed numbers of a layer.

    Members
    -------
    name: of the layer.
    input_bits, weight_bits, sum_bits: of what it reads, of a weight, and of the largest sum: with its bias, over all
        timesteps where a max-pool follows and over the window where SASA aggregates it.
    membrane_bits: of its neuron after the last step; None where there is none, or it belongs to the stream.
    """

    name: str
    input_bits: int
    weight_bits: int
    sum_bits: int
    membrane_bits: int | None

    def to_dict(self) -> dict:
        """Plain values."""
        return asdict(self)


def widths(network: nn.Module, *, timesteps: int) -> list[Width]:
    """The widths that hold whatever the input, from weights and bounds, of an `integer_form`."""
    inputs = _vgg_inputs(network) if isinstance(network, Vgg) else _saformer_inputs(network)
    return [_width(network, name, largest, timesteps) for name, largest in inputs.items()]


def _width(network: nn.Module, name: str, largest: int, timesteps: int) -> Width:
    layer = network.get_submodule(name)
    with torch.no_grad():
        weight, bias = layer.integers()
    most = int((weight.double().abs().flatten(1).sum(dim=1) * largest + bias.double().abs()).max())
    if name.endswith(("attention.q", "attention.k")):
        most *= network.config.window_tokens
    fires = isinstance(layer, QuantisedLayer) and not hasattr(layer, "write")
    wide = max(most, int(layer.neuron.threshold.max())).bit_length() + 1 if fires else 0
    pooled = isinstance(layer, QuantisedLayer) and isinstance(layer.pool, Differential)
    return Width(
        name=name,
        input_bits=largest.bit_length() + 1,
        weight_bits=layer.weight_limit.bit_length() + 1,
        sum_bits=(most * timesteps if pooled else most).bit_length() + 1,
        membrane_bits=membrane_bits(layer.neuron.dynamics, current_bits=wide, timesteps=timesteps) if fires else None,
    )


def _largest(dynamics: Dynamics) -> int:
    return max(dynamics.high, -dynamics.low)


def _vgg_inputs(network: Vgg) -> dict[str, int]:
    """The largest magnitude that every layer reads."""
    bounds = [_largest(layer.neuron.dynamics) for layer in network.layers]
    inputs = [PIXEL, *bounds[:-1]]
    return {f"layers.{index}": largest for index, largest in enumerate(inputs)} | {
        "head": bounds[-1] * network.config.tokens
    }


def _saformer_inputs(network: SAFormer) -> dict[str, int]:
    stages = [getattr(network.sps, f"conv{number}") for number in range(1, 5)]
    inputs = [PIXEL, *(_largest(stage.neuron.dynamics) for stage in stages)]
    found = {f"sps.conv{number}": largest for number, largest in enumerate(inputs, start=1)}
    stream, core = _largest(network.head_neuron.dynamics), find_core(network.config)
    for index, block in enumerate(network.blocks):
        name, mixed = f"blocks.{index}", 1
        found |= {f"{name}.attention.{part}": stream for part in (core.parts if core else ("q", "k"))}
        if core is None and network.config.dwc:
            found[f"{name}.attention.dwc"] = 1
            mixed = _largest(block.attention.dwc.neuron.dynamics)
        found |= {f"{name}.proj": mixed, f"{name}.fc1": stream, f"{name}.fc2": _largest(block.fc1.neuron.dynamics)}
    tokens = network.config.tokens if network.config.head is Head.RATE else 1
    return found | {"head": stream * tokens}
