"""Every mechanism against plain loops over its formula, and the three forms of it against each other."""

import dataclasses
import itertools
import math

import pytest
import torch

from golden.attention.core import UNIT_BITS, per_head
from golden.attention.registry import CORES, find_core, find_mechanism
from golden.calibrate import init_model
from golden.config import CONFIGS, ModelConfig
from golden.counts import count
from golden.errors import SaformerError
from golden.evaluate import evaluate
from golden.integer import attend, run
from golden.layers import layers
from golden.model import SAFormer
from golden.quantise import export, quantise
from tests.golden.by_hand import Formula, executed

SHAPES = {
    "square": {"timesteps": 2, "dim": 16, "heads": 2, "image_size": 8},
    "one head, one step": {"timesteps": 1, "dim": 8, "heads": 1, "image_size": 8},
    "as many heads as channels": {"timesteps": 3, "dim": 8, "heads": 8, "image_size": 4},
    "sixteen steps": {"timesteps": 16, "dim": 8, "heads": 4, "image_size": 4, "reset": "soft"},
}


def config_of(attention, **shape):
    return ModelConfig(name="any", attention=attention, depth=1, windows=1, **shape)


def random_spikes(config, *, images, seed, rate):
    """Outputs of the neurons behind all parts, [T, B, D, H, W]."""
    generator = torch.Generator().manual_seed(seed)
    shape = (config.timesteps, images, config.dim, config.grid, config.grid)
    core = find_core(config)
    return {part: fired(core.neuron(part, config), shape, generator, rate) for part in core.parts}


def fired(neuron, shape, generator, rate):
    """Outputs of a neuron, zero but for a share of `rate`; its largest ones where that is 1."""
    fires = torch.rand(shape, generator=generator) < rate
    values = torch.randint(neuron.low, neuron.high + 1, shape, generator=generator)
    values = torch.where(values == 0, neuron.high, values) if rate < 1 else torch.full(shape, neuron.high)
    return (fires * values).to(torch.int8 if neuron.low < 0 else torch.uint8)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("attention", CORES)
@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
def test_the_formula_by_hand(attention, shape, rate):
    config = config_of(attention, **shape)
    spikes = random_spikes(config, images=2, seed=3, rate=rate)
    _, output = attend(config, CORES[attention], {part: spikes[part] for part in CORES[attention].parts})
    for image in range(2):
        formula = Formula(config, spikes, image)
        found = output[:, image].flatten(2)
        for token, channel in itertools.product(formula.tokens, range(config.dim)):
            assert found[:, channel, token].tolist() == formula.output(token, channel)


@pytest.mark.parametrize("attention", CORES)
def test_operations_by_hand(attention):
    config = config_of(attention, **SHAPES["square"])
    for rate in (0.2, 1.0):
        spikes = random_spikes(config, images=2, seed=5, rate=rate)
        work = CORES[attention].work(spikes, heads=config.heads)
        assert (work.accumulates.tolist(), work.additions.tolist()) == executed(config, spikes)
    # If everything fires, it is what the dense count says.
    total = int((work.accumulates + work.additions).sum())
    assert total == 2 * config.timesteps * CORES[attention].operations(config)


@pytest.mark.parametrize("attention", CORES)
def test_the_widest_count(attention):
    config = config_of(attention, **SHAPES["square"])
    spikes = {part: values.int() for part, values in random_spikes(config, images=1, seed=1, rate=1.0).items()}
    core = CORES[attention]
    counts = core.counts(spikes, heads=config.heads)
    assert int(counts.amax()) == int(counts.amin()) == core.largest(config)
    assert counts[0, 0].numel() == core.neurons(config)
    assert core.largest(config) << UNIT_BITS < 2**31


@pytest.mark.parametrize("attention", CORES)
def test_float_and_integers_agree(attention):
    config = config_of(attention, **SHAPES["square"])
    core, spikes = CORES[attention], random_spikes(config, images=2, seed=7, rate=0.3)
    whole = core.counts({part: values.int() for part, values in spikes.items()}, heads=config.heads)
    real = core.counts({part: values.float() for part, values in spikes.items()}, heads=config.heads)
    assert torch.equal(whole.float(), real)


@pytest.mark.parametrize("attention", CORES)
def test_gradients_reach_every_projection(attention, small, bundled):
    torch.manual_seed(1)
    model = SAFormer(dataclasses.replace(small, attention=attention))
    images = bundled.images[:8, :, ::2, ::2].float()
    model.scores(images).square().sum().backward()
    for part in find_core(model.config).parts:
        assert float(getattr(model.blocks[0].attention, part).conv.weight.grad.abs().sum()) > 0


@pytest.mark.parametrize("attention", CORES)
def test_the_exported_model_classifies_as_the_trained_one(attention, small, bundled):
    torch.manual_seed(2)
    model = SAFormer(dataclasses.replace(small, attention=attention))
    images = bundled.images[:8, :, ::2, ::2].contiguous()
    with torch.no_grad():
        model(images.float())
        trained = quantise(model).eval()
        logits = trained(images.float())
    trace = run(export(trained), images)
    assert torch.equal(trace.logits.float(), logits)
    figures = evaluate(export(trained), images, trace.predictions)
    assert (figures["accuracy"], figures["mask_rate"]) == (1.0, {})
    assert figures["energy_mj"]["integer_sram"] > figures["energy_mj"]["integer"] > 0


def test_layers_of_a_mechanism_with_values(small):
    config = dataclasses.replace(small, attention="ssa")
    names = [layer.name.removeprefix("blocks.0.") for layer in layers(config)]
    assert names[5:12] == ["q", "k", "v", "attend", "proj", "fc1", "fc2"]
    attend_layer = next(layer for layer in layers(config) if layer.name.endswith("attend"))
    assert (attend_layer.macs, attend_layer.fan_in) == (2 * 16 * 16 * 16, 0)


def test_no_pooled_query_without_windows(small, inputs):
    config = dataclasses.replace(small, attention="sdsa")
    images = inputs(config, 1)
    with pytest.raises(SaformerError, match="where attention is sasa only, not sdsa"):
        count(config, images, run(init_model(config, seed=1), images), pooled_query=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3}, "heads must divide dim, 16; 3 do not"),
        ({"heads": 0}, "heads must be a positive integer, not 0"),
        (
            {"attention": "none"},
            "attention must be one of sasa, ssa, sdsa, qk-token, qk-channel, a2os2a, vsa, not 'none'",
        ),
    ],
)
def test_impossible_mechanisms(small, change, message):
    with pytest.raises(SaformerError, match=message):
        dataclasses.replace(small, **change)


def test_parameters_of_the_published_network():
    """SAFormer-4-384 has 8.7 M (its paper); a mechanism with V has one more map a block, with its batch norm."""
    config = CONFIGS["4-384"]
    sizes = {
        attention: sum(parameter.numel() for parameter in SAFormer(changed).parameters())
        for attention in ("sasa", "qk-token", "ssa")
        for changed in [dataclasses.replace(config, attention=attention)]
    }
    assert round(sizes["sasa"] / 1e6, 1) == 8.7
    convolution, value = 4 * (9 * 384 + 2 * 384), 4 * (384 * 384 + 2 * 384)
    assert sizes["qk-token"] == sizes["sasa"] - convolution
    assert sizes["ssa"] == sizes["qk-token"] + value


def test_real_attention_by_hand():
    config = ModelConfig(name="any", attention="vsa", timesteps=2, dim=16, heads=2, image_size=8, depth=1, windows=1)
    shape = (3, config.timesteps, 2, config.dim, config.grid, config.grid)
    q, k, v = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = find_mechanism(config).output(q, k, v, heads=2).flatten(-2)
    q, k, v = (per_head(x, 2).tolist() for x in (q, k, v))
    for step, image, head, token in itertools.product(range(2), range(2), range(2), range(config.tokens)):
        query, keys, values = q[step][image][head][token], k[step][image][head], v[step][image][head]
        weights = [math.exp(sum(a * b for a, b in zip(query, key, strict=True)) / math.sqrt(8)) for key in keys]
        for channel in range(8):
            total = sum(weight * value[channel] for weight, value in zip(weights, values, strict=True))
            assert float(found[step, image, 8 * head + channel, token]) == pytest.approx(total / sum(weights))


def test_real_attention_trains_and_has_no_integers(small, bundled):
    torch.manual_seed(3)
    model = SAFormer(dataclasses.replace(small, attention="vsa"))
    images = bundled.images[:8, :, ::2, ::2].float()
    with torch.no_grad():
        for _ in range(60):  # until the batch norms know the images
            model(images)
    quantised = quantise(model)
    for network in (model, quantised):
        network.scores(images).square().sum().backward()
        for layer in network.blocks[0].attention.projections():
            weights = [weight for name, weight in layer.named_parameters() if name.endswith("weight")]
            assert all(float(weight.grad.abs().sum()) > 0 for weight in weights)
    for attempt in (lambda: export(quantised), lambda: init_model(model.config, seed=1)):
        with pytest.raises(SaformerError, match="attention vsa is of real numbers, to compare the others with"):
            attempt()


PUBLISHED = {"8-512": (512, 8, 29.68), "10-512": (512, 10, 36.01)}


@pytest.mark.parametrize(("dim", "depth", "millions"), PUBLISHED.values(), ids=PUBLISHED)
def test_parameters_of_a2os2a(dim, depth, millions):
    config = ModelConfig(
        name="any", attention="a2os2a", dim=dim, depth=depth, classes=1000, image_size=224, pool_stages=(2, 3, 4)
    )
    # Biases of the output's projection and of the MLP, which the batch norms behind them make superfluous.
    biases = depth * (dim + config.hidden + dim)
    assert round((parameters(config) + biases) / 1e6, 2) == pytest.approx(millions, abs=0.011)


def test_parameters_of_saformer():
    assert round(parameters(CONFIGS["4-384"]) / 1e6, 1) == 8.7


def parameters(config):
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in SAFormer(config).parameters())
