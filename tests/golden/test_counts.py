"""Counts against brute force over every spike, tap and output; and the energy that follows from them."""

import dataclasses
import itertools

import pytest
import torch

from golden.calibrate import init_model
from golden.config import CONFIGS, Attention
from golden.counts import count, reach
from golden.errors import SaformerError
from golden.integer import run
from golden.layers import LayerKind, layers
from tests.golden.by_hand import executed


def reached(side, kernel, row, column):
    """Output positions (of the same map) whose window contains this input position, one by one."""
    half = kernel // 2
    near = itertools.product(range(-half, half + 1), repeat=2)
    return sum(0 <= row + down < side and 0 <= column + right < side for down, right in near)


@pytest.mark.parametrize(("side", "kernel"), [(1, 3), (2, 3), (5, 3), (4, 1)])
def test_reach(side, kernel):
    expected = [[reached(side, kernel, row, column) for column in range(side)] for row in range(side)]
    assert reach(side, kernel).tolist() == expected


def walk(spikes):
    """Indices of all spikes."""
    return spikes.nonzero().tolist()


def brute_force(layer, config, images, values, parallel):
    """Sops per timestep and events of one layer, by walking over every input."""
    sops, events, steps = [0] * config.timesteps, 0, range(config.timesteps)
    if layer.kind is LayerKind.PIXEL_CONV:
        for image, channel, row, column in itertools.product(*map(range, images.shape)):
            pixel, times = int(images[image, channel, row, column]), reached(layer.side, 3, row, column)
            for first in steps[::parallel]:
                sops[first] += pixel.bit_count() * times * layer.channels
                events += times * sum(pixel >> low & 2**parallel - 1 > 0 for low in range(0, 8, parallel))
    elif layer.kind is LayerKind.ATTEND:
        block = layer.name.removesuffix(".attend")
        sops, _ = executed(config, {part: values.get(f"{block}.{part}") for part in ("q", "k", "v")})
    elif layer.kind is LayerKind.MIX and config.dwc:
        mask = values[layer.outputs[0]]
        for step, image, channel, row, column in walk(values[layer.input]):
            sops[step] += reached(layer.side, 3, row, column) + int(mask[step, image, channel])
    elif layer.kind not in (LayerKind.MIX, LayerKind.POOL):
        x = values[layer.input].reshape(*values[layer.input].shape[:3], layer.side, layer.side)
        for step, _, _, row, column in walk(x):
            sops[step] += reached(layer.side, layer.kernel, row, column) * layer.channels
        fired = {(step // parallel, *place) for step, *place in walk(x)}
        events = sum(reached(layer.side, layer.kernel, row, column) for *_, row, column in fired)
    return [sops[step] for step in steps], events


@pytest.fixture
def counted(variant, inputs):
    images = inputs(variant, 2)
    trace = run(init_model(variant, seed=4), images)
    return variant, images, trace


@pytest.mark.parametrize("parallel", [None, 2])
def test_every_layer_against_brute_force(counted, parallel):
    config, images, trace = counted
    for layer in count(config, images, trace, parallel=parallel).layers:
        sops, events = brute_force(layer.layer, config, images, trace.values, parallel or config.timesteps)
        assert (layer.layer.name, layer.sops.tolist(), layer.events) == (layer.layer.name, sops, events)


def pooled_by_hand(config, spikes, parallel):
    """Set bits of the window counts at every timestep, and (window, bit, channel) set in any step of a pass."""
    kernel, sops, events = config.window_kernel, [0] * config.timesteps, set()
    windows = itertools.product(range(config.window_side), repeat=2)
    for row, column in windows:
        window = spikes[..., row * kernel : (row + 1) * kernel, column * kernel : (column + 1) * kernel]
        for step, image, channel in itertools.product(*map(range, spikes.shape[:3])):
            total = int(window[step, image, channel].sum())
            sops[step] += total.bit_count()
            bits = [bit for bit in range(8) if total >> bit & 1]
            events |= {(step // parallel, image, row, column, bit, channel) for bit in bits}
    return sops, len(events)


@pytest.mark.parametrize("parallel", [1, 2, 4])
@pytest.mark.parametrize("windows", [1, 4, 16])
def test_pooled_query(small, inputs, parallel, windows):
    config = dataclasses.replace(small, windows=windows)
    images = inputs(config, 2)
    trace = run(init_model(config, seed=4), images)
    tokens, pooled = (
        count(config, images, trace, parallel=parallel, pooled_query=choice).layers for choice in (False, True)
    )
    changed = [mine.layer.name for mine, its in zip(tokens, pooled, strict=True) if mine.events != its.events]
    assert changed == ([] if windows == config.tokens else ["blocks.0.q"])
    query = next(layer for layer in pooled if layer.layer.name == "blocks.0.q")
    bits, events = pooled_by_hand(config, trace.values["blocks.0.input"], parallel)
    assert (query.sops.tolist(), query.events) == ([config.dim * number for number in bits], events)


def test_pooling_saves_accumulates(bundled):
    config, images = CONFIGS["tiny"], bundled.images[:3]
    trace = run(init_model(config, seed=1), images)
    tokens, pooled = (count(config, images, trace, pooled_query=choice).layers for choice in (False, True))
    for name in ("blocks.0.q", "blocks.1.q"):
        before, after = (next(x for x in chosen if x.layer.name == name) for chosen in (tokens, pooled))
        assert int(after.sops.sum()) < int(before.sops.sum()) / 2
        assert after.events < before.events / 2
        assert after.firing_rate == before.firing_rate


def test_no_pooled_query_of_aggregated_spikes(small, inputs):
    config = dataclasses.replace(small, aggregate="spike")
    images = inputs(config, 1)
    trace = run(init_model(config, seed=1), images)
    with pytest.raises(SaformerError, match="a query can be pooled where aggregate is current only"):
        count(config, images, trace, pooled_query=True)


def test_spikes_rates_hits_and_saturations(counted):
    config, images, trace = counted
    counts = count(config, images, trace)
    by_name = {layer.layer.name: layer for layer in counts.layers}
    conv1 = trace.values["conv1"]
    assert by_name["conv2"].spikes.tolist() == [int(step.count_nonzero()) for step in conv1]
    assert by_name["conv1"].output_spikes.tolist() == by_name["conv2"].spikes.tolist()
    assert by_name["conv2"].firing_rate == pytest.approx(float(conv1.ne(0).float().mean()))
    assert by_name["conv5"].output_spikes.tolist() == [0] * config.timesteps
    if config.attention is not Attention.SASA:
        assert (counts.hits, counts.masks) == ({}, {})
        return
    qa, ka = trace.values["blocks.0.qa"], trace.values["blocks.0.ka"]
    masks = trace.values["blocks.0.mask"]
    assert counts.masks["blocks.0"].tolist() == [int(step.sum()) for step in masks]
    assert counts.mask_rates(config)["blocks.0"] == int(masks.sum()) / masks.numel()
    assert counts.hits["blocks.0"].tolist() == [int((q.long() * k).sum()) for q, k in zip(qa, ka, strict=True)]
    assert {name: int(value.sum()) for name, value in counts.saturations.items()} == {
        name: int(value.sum()) for name, value in trace.saturations.items()
    }


def test_dense_estimate_is_rate_times_steps_times_macs(counted):
    config, images, trace = counted
    for layer in count(config, images, trace).layers:
        steps = 1 if layer.layer.kind is LayerKind.PIXEL_CONV else config.timesteps
        assert layer.sops_dense_estimate == pytest.approx(layer.firing_rate * steps * layer.layer.macs * 2)


def test_sums_over_images(counted):
    config, images, trace = counted
    whole = count(config, images, trace)
    model = init_model(config, seed=4)
    first, second = (count(config, image, run(model, image)) for image in images.split(1))
    total = first + second
    assert total.images == whole.images == 2
    for mine, its in zip(total.layers, whole.layers, strict=True):
        assert torch.equal(mine.sops, its.sops)
        assert torch.equal(mine.spikes, its.spikes)
        assert (mine.events, mine.firing_rate) == (its.events, its.firing_rate)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_chunks_of_pixels(small, bits):
    images = torch.tensor([0, 1, 16, 255] * 3 * 64, dtype=torch.uint8).reshape(1, 3, 16, 16)
    trace = run(init_model(small, seed=1), images)
    conv1 = count(small, images, trace, parallel=bits).layers[0]
    sops, events = brute_force(conv1.layer, small, images, trace.values, bits)
    assert (conv1.sops.tolist(), conv1.events) == (sops, events)


def test_dense_operations_are_those_of_the_paper():
    macs = {layer.name: round(layer.macs / 1e6, 3) for layer in layers(CONFIGS["4-384"])}
    expected = {"conv1": 1.327, "conv2": 42.467, "conv3": 169.869, "conv4": 169.869, "conv5": 84.935}
    block = {"q": 9.437, "k": 9.437, "mix": 0.221, "proj": 9.437, "fc1": 37.749, "fc2": 37.749}
    expected |= {f"blocks.{index}.{name}": value for index in range(4) for name, value in block.items()}
    assert macs == expected | {"pool": 0.0, "head": 0.004}
