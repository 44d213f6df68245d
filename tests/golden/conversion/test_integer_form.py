"""The integer form of converted networks: whole numbers everywhere, within the widths that are claimed for them."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from golden.config import ModelConfig
from golden.conversion.adjust import adjust
from golden.conversion.config import ConversionConfig
from golden.conversion.integer import integer_form, widths
from golden.conversion.measure import report
from golden.conversion.networks import build
from golden.data import ImageSet, fit_images
from golden.errors import SaformerError
from golden.neurons.exact import run_neuron
from golden.quantise import QuantisedLayer, fold

MODEL = ModelConfig(
    name="small", neuron="pmsm", levels=4, dim=16, depth=1, image_size=16, pool_stages=(3, 4), heads=2, windows=4
)


def network_of(pixels, *, negative=2, network="vgg", **changes):
    """A network of some configuration, its thresholds chosen."""
    config = ConversionConfig(model=dataclasses.replace(MODEL, **changes), network=network, negative_levels=negative)
    torch.manual_seed(2)
    whole = build(config).train()
    for some in pixels.split(10):
        whole(some.float(), timesteps=1)
    adjust(whole, config, pixels)
    return whole.eval()


@pytest.fixture
def pixels(bundled):
    """Images of the size of the networks."""
    return fit_images(bundled.images[:30], channels=3, size=16)


@pytest.mark.parametrize("timesteps", [1, 2, 4])
def test_vgg_on_integers_alone(pixels, timesteps):
    """Once more with int64 convolutions and the integer neurons of the specification."""
    whole = integer_form(network_of(pixels), timesteps=timesteps)
    x = pixels.long().expand(timesteps, -1, -1, -1, -1)
    with torch.no_grad():
        for layer in whole.layers:
            weight, bias = (value.long() for value in layer.integers())
            patches = F.unfold(x.flatten(0, 1).double(), 3, padding=1).long()
            sums = weight.flatten(1) @ patches + bias.reshape(-1, 1)
            current = sums.reshape(timesteps, len(pixels), len(bias), *x.shape[-2:])
            if not isinstance(layer.pool, nn.Identity):
                total = current.cumsum(dim=0)
                windows = total.unflatten(-2, (-1, 2)).unflatten(-1, (-1, 2)).amax(dim=(-3, -1))
                current = torch.diff(windows, dim=0, prepend=torch.zeros_like(windows[:1]))
            threshold = layer.neuron.threshold.long()
            x = run_neuron(layer.neuron.dynamics, current, threshold, reset=layer.neuron.reset)
        weight, bias = (value.long() for value in whole.head.integers())
        logits = x.long().sum(dim=(-2, -1)) @ weight.T + bias
        assert torch.equal(whole(pixels.double(), timesteps=timesteps), logits.double())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pool_kernel": 3},
        {"network": "saformer"},
        {"network": "saformer", "attention": "ssa"},
        {"network": "saformer", "aggregate": "spike", "head": "rate"},
        {"network": "saformer", "attention": "a2os2a", "negative": 0},
        {"network": "saformer", "dwc": False},
        {"weight_bits": 3},
    ],
)
def test_numbers_are_whole_and_within_their_widths(pixels, changes):
    timesteps = 3
    whole = integer_form(network_of(pixels, **changes), timesteps=timesteps)
    claimed = {width.name: width for width in widths(whole, timesteps=timesteps)}
    layers = {name for name, module in whole.named_modules() if isinstance(module, QuantisedLayer)} | {"head"}
    assert set(claimed) == layers
    seen = {}
    for name in layers:
        module = whole.get_submodule(name)
        if name == "head":
            module.register_forward_hook(lambda _m, inputs, out: seen.setdefault("head", []).append((inputs[0], out)))
        else:
            current = module.current

            def record(x, name=name, current=current):
                out = current(x)
                seen.setdefault(name, []).append((x, out))
                return out

            module.current = record
    with torch.no_grad():
        whole(pixels.double(), timesteps=timesteps)
    assert set(seen) == layers
    for name, calls in seen.items():
        for x, out in calls:
            for numbers, bits in ((x, claimed[name].input_bits), (out, claimed[name].sum_bits)):
                assert torch.equal(numbers, numbers.round())
                assert float(numbers.abs().max()) < 2 ** (bits - 1)


def test_integers_are_the_nearest_to_the_network(pixels):
    """Every weight, bias and threshold is at most half a unit from what it was, with the batch norms folded."""
    network = network_of(pixels)
    for layer, whole in zip(network.layers, integer_form(network, timesteps=1).layers, strict=True):
        folded, unit = fold(layer), whole.units.reshape(-1, 1, 1, 1)
        with torch.no_grad():
            weight, bias = whole.integers()
        assert float((weight - folded[0].double() * unit).abs().max()) <= 0.5 + 1e-4
        assert float((bias - folded[1].double() * whole.units).abs().max()) <= 0.5 + 1e-4
        assert float((whole.neuron.threshold.flatten() - layer.neuron.threshold * whole.units).abs().max()) <= 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "saformer", "attention": "vsa"}, "attention vsa is of real numbers"),
        ({"network": "saformer", "mix_neuron": False}, "needs a neuron before the projection"),
    ],
)
def test_networks_without_integer_form_are_refused(pixels, changes, message):
    network = network_of(pixels, **changes)
    with pytest.raises(SaformerError, match=message):
        integer_form(network, timesteps=1)
    images = ImageSet(images=pixels, labels=torch.zeros(30, dtype=torch.long), indices=torch.arange(30))
    assert report(network, images=images, steps=[1])["integer"] is None
