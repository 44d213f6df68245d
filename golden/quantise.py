"""Quantisation: batch norm folded, integer weights, and the quantised training model.

The quantised model is the training model with its layers replaced. Its forward works in integer units, on rounded
weights, biases and thresholds, so that in float32 it computes exactly what `golden.integer` computes; gradients pass
through the rounding unchanged. The scales are fixed when a model is quantised, and training goes on for the weights.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.config import Aggregate, ModelConfig
from golden.integer import STREAM_LIMITS, IntegerModel
from golden.model import Block, ConvBnLif, SAFormer, Sasa
from golden.neurons.module import Neuron
from golden.tensors import MAX_SHIFT, parameter_limit, tensor_specs

# The stream holds at least this many thresholds before it saturates.
STREAM_RANGE = 16


class _Round(torch.autograd.Function):
    """Rounding with the gradient of the identity."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad


def _to_integers(x: Tensor, limit: int) -> Tensor:
    return _Round.apply(x.clamp(-limit, limit))


class QuantisedWrite(nn.Module):
    """sat16(stream + (current << shift)), [T, B, D, H, W]; `shift` is [D]."""

    def __init__(self, shift: Tensor):
        super().__init__()
        self.register_buffer("shift", shift.float())

    def forward(self, stream: Tensor | None, current: Tensor) -> Tensor:
        shifted = current * torch.exp2(self.shift).reshape(-1, 1, 1)
        return (shifted if stream is None else stream + shifted).clamp(*STREAM_LIMITS)


def exact(neuron: Neuron, threshold: Tensor) -> Neuron:
    """A neuron on integers, of the same kind, with these thresholds, rounded; at least 1, or it would have no sign."""
    settings = {"dynamics": neuron.dynamics, "reset": neuron.reset, "exact": True}
    return Neuron(threshold=threshold.round().clamp(min=1), **settings)


class QuantisedLayer(nn.Module):
    """A convolution with integer weights and bias, and what follows it: the quantised `ConvBnLif`.

    Parameters
    ----------
    weight, bias, groups: of the convolution, real numbers, [Co, Ci / groups, k, k] and [Co].
    unit: 1.0 in units of the current, [Co].
    times: number of tokens over which the currents are summed before they meet a threshold.
    shift: of the write to the stream, [Co], where there is one.
    neuron: that of the layer it replaces.
    """

    def __init__(
        self,
        *,
        weight: Tensor,
        bias: Tensor,
        unit: Tensor,
        config: ModelConfig,
        pool: nn.Module,
        neuron: Neuron,
        groups: int = 1,
        times: int = 1,
        shift: Tensor | None = None,
    ):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)
        self.register_buffer("units", unit)
        self.pool = pool
        self.groups = groups
        self.weight_limit, self.bias_limit = config.weight_limit, parameter_limit(times)
        self.neuron = exact(neuron, neuron.threshold.flatten() * unit)
        if shift is not None:
            self.write = QuantisedWrite(shift)

    @property
    def unit(self) -> Tensor:
        """1.0 in units of the current, [Co, 1, 1]."""
        return self.units.reshape(-1, 1, 1)

    def integers(self) -> tuple[Tensor, Tensor]:
        """Weight and bias as they are used: rounded, in units of the current."""
        weight = _to_integers(self.weight * self.unit.unsqueeze(-1), self.weight_limit)
        return weight, _to_integers(self.bias * self.units, self.bias_limit)

    def current(self, x: Tensor) -> Tensor:
        """[T, B, Ci, H, W] to integers [T, B, Co, H', W']."""
        weight, bias = self.integers()
        sums = F.conv2d(x.flatten(0, 1), weight, bias, padding=weight.shape[-1] // 2, groups=self.groups)
        return self.pool(sums).unflatten(0, x.shape[:2])

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron(self.current(x))


class QuantisedClassifier(nn.Module):
    """Integer logits [T, B, classes]; `scale` is the worth of one unit."""

    def __init__(self, *, linear: nn.Linear, config: ModelConfig):
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().clone())
        self.bias = nn.Parameter(linear.bias.detach().clone())
        unit = _natural_unit(self.weight.detach().reshape(1, -1), self.bias.detach().abs().amax(), config)
        self.register_buffer("units", unit)
        self.weight_limit = config.weight_limit

    @property
    def scale(self) -> Tensor:
        """Real value of one unit of a logit."""
        return 1 / self.units

    def integers(self) -> tuple[Tensor, Tensor]:
        """Weight [classes, D] and bias [classes] as they are used."""
        weight = _to_integers(self.weight * self.units, self.weight_limit)
        return weight, _to_integers(self.bias * self.units, parameter_limit())

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.flatten(2), *self.integers())


def fold(layer: ConvBnLif) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with its batch norm folded in."""
    bn = layer.bn
    gain = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    weight = layer.conv.weight * gain.reshape(-1, 1, 1, 1)
    return weight.detach().clone(), (bn.bias - bn.running_mean * gain).detach().clone()


def _natural_unit(weight: Tensor, bias: Tensor, config: ModelConfig, times: int = 1) -> Tensor:
    """1.0 in units of the finest scale that holds every weight of a channel, and its bias and threshold: [Co]."""
    largest = weight.abs().flatten(1).amax(dim=1).clamp(min=1e-9)
    # Twice the bias, because training still moves it.
    held = torch.maximum(2 * bias.abs(), torch.tensor(float(config.threshold)))
    unit = torch.minimum(config.weight_limit / largest, parameter_limit(times) / held)
    return unit.floor().clamp(min=1.0)


def quantise_layer(layer: ConvBnLif, config: ModelConfig, times: int = 1) -> QuantisedLayer:
    """The quantised layer of a trained one, at the finest scale of every channel.

    `times` is the number of tokens over which its currents are summed before they meet a threshold.
    """
    weight, bias = fold(layer)
    unit = _natural_unit(weight, bias, config, times)
    settings = {"pool": layer.pool, "groups": layer.conv.groups, "times": times, "neuron": layer.neuron}
    return QuantisedLayer(weight=weight, bias=bias, unit=unit, config=config, **settings)


def _writers(model: SAFormer) -> list[tuple[nn.Module, str]]:
    """Everything that writes to the stream, as its owner and its name there."""
    blocks = [(block, name) for block in model.blocks for name in ("proj", "fc2")]
    return [(model.sps, "conv4"), (model.sps, "conv5"), *blocks]


def _quantise_writers(model: SAFormer) -> Tensor:
    """Replace the writers by layers of one scale per channel, times a power of two each; returns the stream's unit."""
    config = model.config
    folded = [fold(getattr(owner, name)) for owner, name in _writers(model)]
    natural = torch.stack([_natural_unit(weight, bias, config) for weight, bias in folded])  # [writers, D]
    limit = min(STREAM_LIMITS[1] // STREAM_RANGE, parameter_limit(config.tokens)) / config.threshold
    unit = torch.minimum(natural.amax(dim=0), 2**MAX_SHIFT * natural.amin(dim=0)).clamp(max=int(limit))
    shifts = torch.log2(unit / natural).ceil().clamp(0, MAX_SHIFT)
    for (owner, name), (weight, bias), shift in zip(_writers(model), folded, shifts, strict=True):
        quantised = QuantisedLayer(
            weight=weight,
            bias=bias,
            unit=unit / torch.exp2(shift),
            config=config,
            pool=getattr(owner, name).pool,
            neuron=getattr(owner, name).neuron,
            shift=shift,
        )
        setattr(owner, name, quantised)
    return unit


def _quantise_sasa(attention: Sasa, config: ModelConfig) -> None:
    pooled = config.window_tokens if config.aggregate is Aggregate.CURRENT else 1
    attention.q, attention.k = quantise_layer(attention.q, config, pooled), quantise_layer(attention.k, config, pooled)
    attention.ka = exact(attention.ka, attention.k.neuron.threshold)
    attention.mask = exact(attention.mask, attention.mask.threshold)
    if config.dwc:
        attention.dwc = quantise_layer(attention.dwc, config)


def _quantise_block(block: Block, config: ModelConfig, stream: Neuron) -> None:
    if isinstance(block.attention, Sasa):
        _quantise_sasa(block.attention, config)
    else:
        for part, layer in block.attention.named_children():
            quantised = exact(layer, layer.threshold) if isinstance(layer, Neuron) else quantise_layer(layer, config)
            setattr(block.attention, part, quantised)
    block.input, block.mlp_input = copy.deepcopy(stream), copy.deepcopy(stream)
    block.fc1 = quantise_layer(block.fc1, config)


def quantise(model: SAFormer) -> SAFormer:
    """The quantised training model of a trained one, whose batch norms it folds at their running statistics."""
    config, model = model.config, copy.deepcopy(model)
    for stage in range(1, 4):
        setattr(model.sps, f"conv{stage}", quantise_layer(getattr(model.sps, f"conv{stage}"), config))
    for block in model.blocks:
        if isinstance(block.attention, Sasa) and config.dwc and not config.mix_neuron:
            # The projection reads the numbers of the depthwise convolution, in that one's units.
            weight, bias = fold(block.attention.dwc)
            block.proj.conv.weight.data /= _natural_unit(weight, bias, config).reshape(1, -1, 1, 1)
    unit = _quantise_writers(model)
    stream = exact(model.head_neuron, model.head_neuron.threshold.flatten() * unit)
    for block in model.blocks:
        _quantise_block(block, config, stream)
    model.head_neuron = copy.deepcopy(stream)
    model.head = QuantisedClassifier(linear=model.head.linear, config=config)
    return model


def _integer_tensors(layer: nn.Module) -> dict[str, Tensor]:
    """All integers of a quantised layer, by the field names of the integer model."""
    weight, bias = layer.integers()
    values = {"weight": weight, "bias": bias}
    if isinstance(layer, QuantisedLayer):
        values |= {"threshold": layer.neuron.threshold.flatten(), "one": layer.units}
        if hasattr(layer, "write"):
            values["shift"] = layer.write.shift
    return values


def quantised_layers(model: SAFormer) -> dict[str, nn.Module]:
    """The layers of a quantised model by their names in the integer model."""
    named = {f"conv{stage}": getattr(model.sps, f"conv{stage}") for stage in range(1, 6)}
    for index, block in enumerate(model.blocks):
        parts = {"proj": block.proj, "fc1": block.fc1, "fc2": block.fc2}
        inside = block.attention.named_children()
        parts |= {name: layer for name, layer in inside if isinstance(layer, QuantisedLayer)}
        named |= {f"blocks.{index}.{name}": layer for name, layer in parts.items()}
    return named | {"head": model.head}


def export(model: SAFormer) -> IntegerModel:
    """The integer model that computes what the quantised model `model` computes.

    Raises SaformerError: its attention is of real numbers.
    """
    values = {"stream.threshold": model.head_neuron.threshold.flatten()}
    for name, layer in quantised_layers(model).items():
        values |= {f"{name}.{field}": value for field, value in _integer_tensors(layer).items()}
    tensors = {
        name: values[name].detach().reshape(spec.shape).to(spec.dtype).contiguous()
        for name, spec in tensor_specs(model.config).items()
    }
    return IntegerModel(config=model.config, tensors=tensors)
