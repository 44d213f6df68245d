"""Training goes on from an integer model: the quantised training model that computes exactly what it computes."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.attention.registry import find_core
from golden.config import ModelConfig
from golden.container import digest
from golden.data import ImageSet
from golden.errors import SaformerError
from golden.integer import IntegerModel, run
from golden.model import SAFormer, Sasa
from golden.plan import Stage, TrainPlan
from golden.quantise import QuantisedLayer, exact, export, quantise, quantised_layers
from golden.recipe import Recipe
from golden.tensors import LayerTensors, tensor_specs

SCALE_IMAGES = 500
"""Labelled images on which the scale of the logits is found."""
_LARGEST_SCALE = 24
"""Bits of the largest scale of logits that is tried."""


class ContinuedRecipe(Recipe):
    """A model with integer weights whose training goes on, with integer weights all the time.

    Parameters
    ----------
    model: what it begins with.
    config: what becomes of it: thresholds, timesteps, neurons may be others, shapes of tensors not.
    labelled: images with labels of the training split; the first `SCALE_IMAGES` say what a logit is worth.

    Raises SaformerError: as `restore`.
    """

    def __init__(self, model: IntegerModel, *, config: ModelConfig, labelled: ImageSet):
        self._model, self._config = model, config
        restored = restore(model, config=config)
        self._scale = logit_scale(export(restored), labelled.take(torch.arange(min(len(labelled), SCALE_IMAGES))))

    def build(self, plan: TrainPlan) -> SAFormer:
        network = restore(self._model, config=self._config)
        network.head.units.fill_(self._scale)
        for value in (network.head.weight, network.head.bias):
            value.data /= self._scale
        return network

    def prepare(self, model: nn.Module, stage: Stage, images: Tensor | None) -> nn.Module:
        return model

    def settings(self) -> dict:
        return {"start": digest(self._model.config, self._model.tensors), "logit_scale": self._scale}


def restore(model: IntegerModel, *, config: ModelConfig | None = None) -> SAFormer:
    """The quantised training model of an integer model, from which `export` makes the same integer model again.

    With another `config` its thresholds are in the same proportion to those of `config` as they were to their own
    configuration's. What a unit of a logit is worth is not known, and taken to be 1.

    Raises SaformerError: the tensors of `config` are others; a threshold is below 1, which no trained model has; or
    numbers are so large that training would not begin exactly there.
    """
    config = model.config if config is None else config
    _check_shapes(model.config, config)
    result = quantise(SAFormer(config))
    for name, layer in quantised_layers(result).items():
        own = model.layer(name)
        unit = _unit(model, name, own)
        layer.weight.data = own.weight.reshape(layer.weight.shape) / unit.reshape(-1, *[1] * (layer.weight.ndim - 1))
        layer.bias.data = own.bias / unit
        layer.units = unit
        if isinstance(layer, QuantisedLayer):
            _fill(layer, own, _share(config, name) / _share(model.config, name))
    stream = exact(result.head_neuron, model.stream_threshold * (config.threshold / model.config.threshold))
    result.head_neuron = stream
    for block in result.blocks:
        block.input, block.mlp_input = copy.deepcopy(stream), copy.deepcopy(stream)
        if isinstance(block.attention, Sasa):
            block.attention.ka = exact(block.attention.ka, block.attention.k.neuron.threshold)
    _check(model, result)
    return result


def _fill(layer: QuantisedLayer, own: LayerTensors, change: float) -> None:
    if own.threshold is not None:
        layer.neuron = exact(layer.neuron, own.threshold * change)
    if own.shift is not None:
        layer.write.shift = own.shift.float()


def _share(config: ModelConfig, name: str) -> float:
    """The threshold of a layer's neuron as a real number."""
    part, core = name.rpartition(".")[2], find_core(config)
    if part == "dwc":
        return config.mix_threshold * config.threshold
    if core and part in core.parts:
        return core.share(part) * config.threshold
    return config.threshold


def _unit(model: IntegerModel, name: str, own: LayerTensors) -> Tensor:
    """1.0 in units of a layer's currents, [Co]; [1] of the classifier's."""
    if name == "head":
        return torch.ones(1)
    if own.one is not None:
        return own.one.float()
    if own.shift is not None:
        unit = model.stream_threshold / model.config.threshold / torch.exp2(own.shift)
    else:
        unit = own.threshold / _share(model.config, name)
    if unit.amin() <= 0:
        raise SaformerError(f"{model.config.name} has thresholds below 1 in {name}: training cannot go on from it")
    return unit


def _check_shapes(config: ModelConfig, other: ModelConfig) -> None:
    """Raises SaformerError unless networks of both configurations have the same tensors."""
    mine, theirs = ({name: spec.shape for name, spec in tensor_specs(each).items()} for each in (config, other))
    for name in [*theirs, *mine]:
        if mine.get(name) != theirs.get(name):
            have, need = (f"of shape {list(shapes[name])}" if name in shapes else "absent" for shapes in (mine, theirs))
            raise SaformerError(f"training cannot go on as another network: {name} is {have}, and there {need}")


def _check(model: IntegerModel, result: SAFormer) -> None:
    """Raises SaformerError if a weight or a bias is not the same after it was divided by its unit and multiplied."""
    exported = export(result)
    for name, tensor in model.tensors.items():
        if name.endswith(("weight", "bias")) and not torch.equal(exported.tensors[name], tensor):
            raise SaformerError(f"{name} of {model.config.name} has numbers that float32 does not hold exactly")


def logit_scale(model: IntegerModel, labelled: ImageSet) -> float:
    """Units of the logits that are 1.0: those at which the cross-entropy on labelled images is lowest."""
    logits = run(model, labelled.images).logits.double().mean(dim=0)
    # In the exponent of the scale there is one minimum: the interval that has it is narrowed down by thirds.
    low, high = 0.0, float(_LARGEST_SCALE)
    for _ in range(60):
        third = (high - low) / 3
        left, right = (F.cross_entropy(logits / 2**x, labelled.labels) for x in (low + third, high - third))
        low, high = (low, high - third) if left <= right else (low + third, high)
    return 2**low
