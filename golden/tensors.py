"""The tensors of an integer model: names, shapes, number formats, and the checks that keep every sum within bounds."""

import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor

from golden.attention.registry import find_core
from golden.config import Aggregate, ModelConfig
from golden.errors import SaformerError
from golden.neurons.dynamics import Dynamics
from golden.neurons.registry import attention_neuron, layer_neuron

# A bias or a threshold, multiplied by the number of tokens that its neuron sums over, is a signed integer this wide.
PARAMETER_BITS = 24
MAX_SHIFT = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """One tensor: its shape, its type, the largest sum of tokens that its values are multiplied by, and its sign."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.int32
    times: int = 1
    positive: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerTensors:
    """What one layer owns; None where it has no such tensor."""

    weight: Tensor | None = None
    bias: Tensor | None = None
    threshold: Tensor | None = None
    shift: Tensor | None = None
    one: Tensor | None = None


def layer_tensors(tensors: Mapping[str, Tensor], name: str) -> LayerTensors:
    """The tensors of one layer, such as "conv1" or "blocks.0.fc2"."""
    fields = (field.name for field in dataclasses.fields(LayerTensors))
    return LayerTensors(**{field: tensors.get(f"{name}.{field}") for field in fields})


def _weighted(
    name: str, shape: tuple[int, ...], extra: tuple[str, ...], *, neuron: Dynamics, times: int = 1
) -> dict[str, TensorSpec]:
    positive = {"one"} if neuron.binary else {"one", "threshold"}
    vectors = {
        f"{name}.{field}": TensorSpec(shape=shape[:1], times=times, positive=field in positive)
        for field in ("bias", *extra)
    }
    return {f"{name}.weight": TensorSpec(shape=shape, dtype=torch.int8), **vectors}


def _attention_specs(config: ModelConfig, name: str) -> dict[str, TensorSpec]:
    dim, core = config.dim, find_core(config)
    specs: dict[str, TensorSpec] = {}
    if core:
        for part in core.parts:
            specs |= _weighted(f"{name}.{part}", (dim, dim), ("threshold",), neuron=core.neuron(part, config))
        return specs
    pooled = config.window_tokens if config.aggregate is Aggregate.CURRENT else 1
    for part in ("q", "k"):
        projection = {"neuron": attention_neuron(config), "times": pooled}
        specs |= _weighted(f"{name}.{part}", (dim, dim), ("threshold",), **projection)
    mixing = _weighted(f"{name}.dwc", (dim, 3, 3), ("threshold", "one"), neuron=layer_neuron(config))
    return specs | (mixing if config.dwc else {})


def _block_specs(config: ModelConfig, name: str) -> dict[str, TensorSpec]:
    dim, hidden, neuron = config.dim, config.hidden, layer_neuron(config)
    return {
        **_attention_specs(config, name),
        **_weighted(f"{name}.proj", (dim, dim), ("shift",), neuron=neuron),
        **_weighted(f"{name}.fc1", (hidden, dim), ("threshold",), neuron=neuron),
        **_weighted(f"{name}.fc2", (dim, hidden), ("shift",), neuron=neuron),
    }


def tensor_specs(config: ModelConfig) -> dict[str, TensorSpec]:
    """Name to specification of every tensor of a model of this configuration, in the order of the layers.

    Raises SaformerError: its attention is of real numbers, or its neurons need more bits than are exact.
    """
    specs: dict[str, TensorSpec] = {}
    neuron = layer_neuron(config)
    channels = (config.in_channels, *config.stage_channels)
    extras = (("threshold",), ("threshold",), ("threshold",), ("threshold", "shift"), ("shift",))
    for stage, extra in enumerate(extras, start=1):
        specs |= _weighted(f"conv{stage}", (channels[stage], channels[stage - 1], 3, 3), extra, neuron=neuron)
    specs["stream.threshold"] = TensorSpec(shape=(config.dim,), times=config.tokens, positive=not neuron.binary)
    for index in range(config.depth):
        specs |= _block_specs(config, f"blocks.{index}")
    return specs | _weighted("head", (config.classes, config.dim), (), neuron=neuron)


def check_tensors(config: ModelConfig, tensors: Mapping[str, Tensor]) -> None:
    """Raises SaformerError unless `tensors` are exactly those of the configuration, with legal values."""
    specs = tensor_specs(config)
    for name, spec in specs.items():
        if name not in tensors:
            raise SaformerError(f"the model has no tensor {name}; export or initialise it again")
        _check_tensor(config, name, spec, tensors[name])
    unknown = sorted(set(tensors) - set(specs))
    if unknown:
        raise SaformerError(f"the model has a tensor {unknown[0]} that its configuration does not know")


def _check_tensor(config: ModelConfig, name: str, spec: TensorSpec, tensor: Tensor) -> None:
    if tuple(tensor.shape) != spec.shape or tensor.dtype != spec.dtype:
        raise SaformerError(
            f"tensor {name} must be {_dtype(spec.dtype)} {list(spec.shape)}, "
            f"not {_dtype(tensor.dtype)} {list(tensor.shape)}"
        )
    low, high = _limits(config, name, spec)
    if tensor.numel() and not low <= int(tensor.min()) <= int(tensor.max()) <= high:
        raise SaformerError(
            f"tensor {name} must be between {low} and {high}, but has {int(tensor.min())} to {int(tensor.max())}"
        )


def _limits(config: ModelConfig, name: str, spec: TensorSpec) -> tuple[int, int]:
    field = name.rpartition(".")[2]
    if field == "weight":
        return -config.weight_limit, config.weight_limit
    if field == "shift":
        return 0, MAX_SHIFT
    limit = parameter_limit(spec.times)
    return (1 if spec.positive else -limit), limit


def parameter_limit(times: int = 1) -> int:
    """Largest magnitude of a bias or a threshold that is multiplied by `times`."""
    return (2 ** (PARAMETER_BITS - 1) - 1) // times


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
