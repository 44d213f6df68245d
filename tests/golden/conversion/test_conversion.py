"""Conversion: at one timestep the spiking network is the quantised one, and what happens with more."""

import dataclasses
from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from golden.config import ModelConfig
from golden.conversion.adjust import CANDIDATES, adjust, entropy
from golden.conversion.config import ConversionConfig
from golden.conversion.measure import describe, differences, measure
from golden.conversion.networks import Vgg, build, quantisers
from golden.conversion.quantiser import FRACTION, Quantiser
from golden.conversion.spiking import Differential, IfNeuron, Scheme, convert
from golden.data import ImageSet, fit_images
from golden.datasets import CIFAR10
from golden.errors import SaformerError

MODEL = ModelConfig(
    name="small", neuron="pmsm", levels=4, dim=16, depth=1, image_size=16, pool_stages=(3, 4), heads=2, timesteps=1
)
CONFIGS = {
    "vgg": ConversionConfig(model=MODEL),
    "vgg with polarity": ConversionConfig(model=MODEL, negative_levels=3),
    "saformer": ConversionConfig(model=MODEL, network="saformer", negative_levels=4),
    "small vision transformer": ConversionConfig(
        model=dataclasses.replace(MODEL, attention="vsa"), network="saformer", negative_levels=1
    ),
    "large pool": ConversionConfig(model=dataclasses.replace(MODEL, pool_kernel=3), negative_levels=2),
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def config(request):
    """Every kind of network in turn."""
    return request.param


@pytest.fixture
def pixels(bundled):
    """Images of the size of the networks."""
    return fit_images(bundled.images[:40], channels=3, size=16)


def prepared(config, pixels, seed=1):
    """A network with weights and batch norms that are no round numbers, its thresholds chosen."""
    torch.manual_seed(seed)
    network = build(config).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.normal_(module.bias, 0.2, 0.3)
    for some in pixels.split(10):
        network(some.float(), timesteps=1)
    adjust(network, config, pixels)
    return network.eval()


def outputs(network, names, pixels, timesteps=1):
    """What the modules of these names put out, call by call, and the logits."""
    found = {name: [] for name in names}
    hooks = [
        network.get_submodule(name).register_forward_hook(lambda _m, _i, out, name=name: found[name].append(out))
        for name in names
    ]
    with torch.no_grad():
        logits = network(pixels.float(), timesteps=timesteps)
    for hook in hooks:
        hook.remove()
    return found, logits


def test_one_timestep_is_the_quantised_network(config, pixels):
    """Call by call of the quantisers, and in the logits; `differences` says the same, of every layer."""
    network = prepared(config, pixels)
    names = list(quantisers(network))
    expected, logits = outputs(network, names, pixels)
    found, spiking = outputs(convert(network, Scheme.PMSM, timesteps=1), names, pixels)
    assert all(torch.equal(a, b) for name in names for a, b in zip(expected[name], found[name], strict=True))
    assert torch.equal(logits, spiking)
    assert differences(network, pixels) == dict.fromkeys([*names, "logits"], 0)


def test_a_neuron_that_rounds_ties_downwards_is_found(pixels):
    """The comparison above, with a quantiser that is wrong on ties alone."""
    network = prepared(CONFIGS["vgg"], pixels)
    first = network.layers[0]
    # Currents in half thresholds: a tie at every odd one.
    first.conv.weight.data.zero_()
    first.conv.weight.data[:, 0, 1, 1] = first.neuron.threshold.clone() / 2
    first.bn.reset_running_stats()
    first.bn.eps = 0.0
    nn.init.ones_(first.bn.weight)
    nn.init.zeros_(first.bn.bias)
    few = pixels % 8
    assert not any(differences(network, few).values())

    class Downwards(Quantiser):
        def forward(self, x, times=1):
            low, high = self.bounds.tolist()
            return torch.ceil(x / self.threshold - 0.5).clamp(low, high)

    first.neuron.__class__ = Downwards
    assert differences(network, few)["layers.0.neuron"] > 0


@pytest.mark.parametrize("threshold", [FRACTION, 3 * FRACTION, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("bounds", [(0, 1), (-3, 4), (-1, 127)])
def test_ties_go_up_and_bounds_hold(threshold, bounds):
    """Against fractions, on ties, on the numbers next to them, and far outside."""
    quantiser = Quantiser(threshold=threshold, low=bounds[0], high=bounds[1]).eval()
    theta = float(quantiser.threshold)
    ties = torch.arange(-6, 131) * theta + theta / 2
    x = torch.cat([ties, ties.nextafter(ties + 1), ties.nextafter(ties - 1), torch.tensor([-1e9, 1e9])])
    x = x.reshape(1, -1, 1, 1, 1)
    exact = [(Fraction(value) / Fraction(theta) + Fraction(1, 2)).__floor__() for value in x.flatten().tolist()]
    wanted = [min(max(level, bounds[0]), bounds[1]) for level in exact]
    spiking = quantiser.neuron(keep=1)
    assert quantiser(x).flatten().tolist() == wanted
    assert spiking(x).flatten().tolist() == wanted


def by_hand(network, pixels):
    """The levels of a VGG, layer by layer, in functions of torch and double precision."""
    x, found = pixels.double(), []
    for layer in network.layers:
        bn, pool = layer.bn, layer.pool
        x = F.conv2d(x, layer.conv.weight.double(), padding=1)
        centred = (x - bn.running_mean.double().reshape(-1, 1, 1)) / (bn.running_var.double() + bn.eps).sqrt().reshape(
            -1, 1, 1
        )
        x = centred * bn.weight.double().reshape(-1, 1, 1) + bn.bias.double().reshape(-1, 1, 1)
        if isinstance(pool, nn.MaxPool2d):
            x = F.max_pool2d(x, pool.kernel_size, 2, (pool.kernel_size - 1) // 2)
        low, high = layer.neuron.bounds.tolist()
        x = torch.floor(x / layer.neuron.threshold.double() + 0.5).clamp(low, high)
        found.append(x)
    return found


@pytest.mark.parametrize("negative", [0, 3])
def test_real_images_computed_once_more(pixels, negative):
    """A VGG in double precision, against functions of torch."""
    network = prepared(ConversionConfig(model=MODEL, negative_levels=negative), pixels).double()
    spiking = convert(network, Scheme.PMSM, timesteps=1)
    names = list(quantisers(network))
    found = {name: [] for name in names}
    for name in names:
        spiking.get_submodule(name).register_forward_hook(lambda _m, _i, out, name=name: found[name].append(out))
    with torch.no_grad():
        spiking(pixels.double(), timesteps=1)
    for name, wanted in zip(names, by_hand(network, pixels), strict=True):
        assert torch.equal(found[name][0][0].reshape(wanted.shape), wanted), name


@pytest.mark.skipif(not CIFAR10.is_in(), reason="SAFORMER_DATA names no folder with CIFAR-10")
def test_thousand_images_of_the_data_set(config):
    images = fit_images(CIFAR10.load("test", None).images[:1000], channels=3, size=16)
    network = prepared(config, images[:100])
    assert not any(differences(network, images).values())


def test_more_timesteps_come_nearer_to_what_is_not_rounded(pixels):
    """One layer: the mean over time of PMSM's levels is the clipped number, to less than one level over T."""
    quantiser = Quantiser(threshold=0.25, low=-2, high=4)
    x = torch.linspace(-0.5, 1.0, 301, dtype=torch.float64).reshape(1, -1, 1, 1, 1)
    for timesteps in (1, 2, 4, 8, 16):
        mean = quantiser.neuron(keep=1)(x.expand(timesteps, -1, -1, -1, -1)).mean(dim=0)
        assert (mean - x[0] / 0.25).abs().max() <= 0.5 / timesteps + 1e-9


def test_qcfs_is_the_quantised_network_after_as_many_steps_as_levels():
    """Bu et al., theorem 2: with the start at half a threshold, T = L steps of a constant input give its level."""
    quantiser = Quantiser(threshold=0.5, low=0, high=4).eval()
    x = torch.linspace(-1, 3, 401, dtype=torch.float64).reshape(1, -1, 1, 1, 1)
    spikes = IfNeuron(quantiser, start=0.5)(x.expand(4, -1, -1, -1, -1))
    assert torch.equal(spikes.mean(dim=0), quantiser(x)[0])
    late = IfNeuron(quantiser, start=0.0)(x.expand(4, -1, -1, -1, -1))
    assert not torch.equal(late.mean(dim=0), quantiser(x)[0])


def test_differential_of_what_has_come():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn((3 * 2, 4, 6, 6), generator=generator, dtype=torch.float64)
    pool = nn.MaxPool2d(2)
    steps = Differential(pool, timesteps=3, mean=False)(x).unflatten(0, (3, 2))
    torch.testing.assert_close(steps.sum(dim=0), pool(x.unflatten(0, (3, 2)).sum(dim=0)))
    mean = Differential(lambda y: y.exp(), timesteps=3, mean=True)(x).unflatten(0, (3, 2))
    torch.testing.assert_close(mean.mean(dim=0), x.unflatten(0, (3, 2)).mean(dim=0).exp())


def test_thresholds_have_the_largest_entropy(config, pixels):
    network = prepared(config, pixels)
    rows = describe(network)
    assert all(row["entropy_after"] >= row["entropy_before"] for row in rows)
    low, high = -config.negative_levels, config.model.levels
    assert all(low <= row["low"] <= 0 < row["high"] <= high for row in rows)
    # The first one once more, from what it reads.
    name, first = next(iter(quantisers(network).items()))
    seen = []
    first.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network(pixels.float(), timesteps=1)
    x = seen[0].double().flatten()

    def bits(threshold):
        return entropy(torch.floor(x / threshold + 0.5).clamp(low, high))

    chosen = bits(float(first.threshold))
    start = config.span / config.model.levels
    # The threshold is rounded to a multiple of FRACTION after it is chosen.
    assert chosen >= max(bits(float(scale) * start) for scale in CANDIDATES) - 0.01
    assert rows[0]["name"] == name
    assert rows[0]["entropy_after"] == pytest.approx(chosen)


def test_entropy():
    assert entropy(torch.tensor([0, 1, 2, 3])) == 2.0
    assert entropy(torch.tensor([5, 5, 5])) == 0.0
    assert entropy(torch.tensor([0, 0, 0, 1])) == pytest.approx(0.8112781)


def test_spikes_are_counted(pixels):
    network = prepared(CONFIGS["vgg with polarity"], pixels)
    images = ImageSet(images=pixels, labels=torch.zeros(40, dtype=torch.long), indices=torch.arange(40))
    names = list(quantisers(network))
    for scheme in Scheme:
        spiking = convert(network, scheme, timesteps=3)
        found, logits = outputs(spiking, names, pixels, timesteps=3)
        record = measure(spiking, names=names, timesteps=3, images=images)
        worth = {name: getattr(spiking.get_submodule(name), "worth", 1) for name in names}
        counts = {name: sum(float(out.abs().sum()) for out in found[name]) / worth[name] / 40 for name in names}
        assert {layer["name"]: layer["spikes"] for layer in record["layers"]} == pytest.approx(counts)
        assert record["spikes"] == pytest.approx(sum(counts.values()))
        assert record["accuracy"] == float((logits.mean(dim=0).argmax(dim=1) == 0).float().mean())


def test_the_stream_has_one_quantiser(pixels):
    network = prepared(CONFIGS["saformer"], pixels)
    names = list(quantisers(network))
    assert names[:4] == [f"sps.conv{stage}.neuron" for stage in range(1, 5)]
    assert sum(name.endswith(("input", "head_neuron")) for name in names) == 1
    assert network.head_neuron is network.blocks[0].input is network.blocks[0].mlp_input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": ModelConfig(name="x")}, 'conversion needs neuron = "pmsm", not "lif"'),
        ({"network": "resnet"}, "network must be one of vgg, saformer, not 'resnet'"),
        ({"negative_levels": 200}, "negative_levels must be 0 to 127, not 200"),
        ({"span": 0.0}, "span must be above 0, not 0.0"),
        ({"images": 0}, "images must be at least 1, not 0"),
        ({"model": dataclasses.replace(MODEL, input="events", in_channels=2)}, 'input = "pixels"'),
    ],
)
def test_impossible_choices_are_refused(change, message):
    with pytest.raises(SaformerError, match=message.replace("(", r"\(")):
        ConversionConfig(**{"model": MODEL} | change)


def test_a_vgg_is_called_as_a_saformer_is(pixels):
    network = Vgg(MODEL)
    assert network.scores(pixels.float()).shape == (40, 10)
