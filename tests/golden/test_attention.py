"""Every mechanism against plain loops over its formula, and the three forms of it against each other."""

import dataclasses
import itertools

import pytest
import torch

from golden.attention.core import UNIT_BITS
from golden.attention.registry import CORES, find_core
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
    """Spikes of all parts, uint8 [T, B, D, H, W]."""
    generator = torch.Generator().manual_seed(seed)
    shape = (config.timesteps, images, config.dim, config.grid, config.grid)
    return {part: (torch.rand(shape, generator=generator) < rate).to(torch.uint8) for part in ("q", "k", "v")}


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
        ({"attention": "none"}, "attention must be one of sasa, ssa, sdsa, qk-token, qk-channel, not 'none'"),
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
