"""The quantised training model computes what the integer model computes, in every neuron, on real images."""

import pytest
import torch
from torch import nn

from golden.attention.registry import find_core
from golden.config import CONFIGS, Aggregate
from golden.data import fit_images
from golden.integer import run, window_sums
from golden.model import SAFormer
from golden.quantise import STREAM_RANGE, export, quantise
from golden.tensors import parameter_limit


def trained_looking(config, images):
    """A float model whose batch norms have seen the images and make neurons fire, with some negative gains."""
    torch.manual_seed(5)
    model = SAFormer(config)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.bias, 0.5, 2.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            module.weight.data[::3] *= -1
            module.momentum = 0.5
    model.train()
    with torch.no_grad():
        for _ in range(5):
            model(images.float())
    return model.eval()


def probe(model, images):
    """Outputs of all neurons, writes and the classifier, by the names of the integer model's trace."""
    found, places = {}, {"head_neuron": "head", "head": "logits"}
    places |= {f"sps.conv{stage}.neuron": f"conv{stage}" for stage in range(1, 5)}
    places |= {f"sps.conv{stage}.write": f"stream.conv{stage}" for stage in (4, 5)}
    inside = {"input": "input", "mlp_input": "mlp_input", "fc1.neuron": "fc1", "attention": "mix"}
    inside |= {"proj.write": "stream.proj", "fc2.write": "stream.fc2"}
    if core := find_core(model.config):
        inside |= {"attention.fire": "fired"} | {f"attention.{part}.neuron": part for part in core.parts}
    else:
        inside |= {"attention.mask": "mask", "attention.ka": "ka"}
        inside |= {"attention.q.neuron": "qa", "attention.k.neuron": "k"}
    for index in range(model.config.depth):
        places |= {f"blocks.{index}.{place}": f"blocks.{index}.{name}" for place, name in inside.items()}

    def record(name):
        return lambda _module, _inputs, output: found.update({name: output})

    hooks = [model.get_submodule(place).register_forward_hook(record(name)) for place, name in places.items()]
    with torch.no_grad():
        model(images.float())
    for hook in hooks:
        hook.remove()
    return found


def assert_same(found, trace, config):
    """Every value of the trace that a neuron or a write made equals the probed one."""
    pooled = 0
    for name, expected in trace.values.items():
        if name == "frames":
            continue
        if config.aggregate is Aggregate.SPIKE and name.endswith((".qa", ".ka")):
            # The training model pools these spikes after the neuron; KA's are those of K.
            spikes = found[name if name.endswith(".qa") else name.removesuffix("a")]
            actual, pooled = window_sums(spikes, config.window_kernel), pooled + 1
        elif name == "head":
            actual = found[name].sum(dim=(-2, -1)) if found[name].shape[-1] > 1 else found[name]
        else:
            actual = found[name]
        assert torch.equal(actual.reshape(expected.shape).double(), expected.double()), name
    assert pooled in (0, 2 * config.depth)


def test_all_layers_of_every_choice(variant, inputs):
    images = inputs(variant, 20)
    model = quantise(trained_looking(variant, images)).eval()
    trace = run(export(model), images)
    assert_same(probe(model, images), trace, variant)
    assert len(trace.values["conv2"].unique()) > 1


def test_all_layers_of_tiny_on_all_bundled_images(bundled):
    images = bundled.images
    model = quantise(trained_looking(CONFIGS["tiny"], images[:30])).eval()
    assert_same(probe(model, images), run(export(model), images), model.config)


def test_a_changed_weight_is_seen(small, bundled):
    images = fit_images(bundled.images[:20], channels=3, size=small.image_size)
    model = quantise(trained_looking(small, images)).eval()
    trace = run(export(model), images)
    with torch.no_grad():
        weight, unit = model.sps.conv2.weight, model.sps.conv2.units
        weight[0] += 1 / unit[0]
    with pytest.raises(AssertionError, match="conv2"):
        assert_same(probe(model, images), trace, small)


def test_quantisation_keeps_the_function(bundled):
    images = bundled.images
    model = trained_looking(CONFIGS["tiny"], images)
    with torch.no_grad():
        before, after = model.scores(images.float()), quantise(model).eval().scores(images.float())
    assert float((before - after).abs().mean()) < 0.2 * float(before.std())


def test_gradients_reach_every_parameter(variant, inputs):
    images = inputs(variant, 20)
    model = quantise(trained_looking(variant, images)).train()
    model.scores(images.float()).square().mean().backward()
    dead = {name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()}
    assert not dead


def test_scales_respect_their_limits(variant, inputs):
    images = inputs(variant, 20)
    model = trained_looking(variant, images)
    with torch.no_grad():
        model.blocks[0].fc1.bn.weight[0] = 0.0
        model.sps.conv5.bn.weight[0] = 0.0
        model.blocks[0].fc2.bn.weight[1] = 1e-7
    tensors = export(quantise(model)).tensors
    assert int(tensors["stream.threshold"].max()) * variant.tokens <= parameter_limit()
    assert int(tensors["stream.threshold"].max()) <= 2**15 // STREAM_RANGE
    assert int(tensors["blocks.0.fc1.threshold"][0]) <= parameter_limit()
    assert not tensors["blocks.0.fc1.weight"][0].any()
    assert int(tensors["conv5.shift"].max()) <= 3
