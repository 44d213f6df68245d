"""Counts against brute force over every spike, tap and output; and the energy that follows from them."""

import itertools

import pytest
import torch

from golden.calibrate import init_model
from golden.config import CONFIGS
from golden.counts import count, reach
from golden.data import fit_images
from golden.energy import energy, layer_energy, paper_figure
from golden.integer import run
from golden.layers import LayerKind, layers


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


def brute_force(layer, config, images, values, chunk_bits):
    """Sops per timestep and events of one layer, by walking over every input."""
    sops, events, steps = [0] * config.timesteps, 0, range(config.timesteps)
    if layer.kind is LayerKind.PIXEL_CONV:
        for image, channel, row, column in itertools.product(*map(range, images.shape)):
            pixel, times = int(images[image, channel, row, column]), reached(layer.side, 3, row, column)
            sops[0] += pixel.bit_count() * times * layer.channels
            while pixel:
                events += times if pixel % 2**chunk_bits else 0
                pixel >>= chunk_bits
    elif layer.kind is LayerKind.MIX and config.dwc:
        mask = values[layer.outputs[0]]
        for step, image, channel, row, column in walk(values[layer.input]):
            sops[step] += reached(layer.side, 3, row, column) + int(mask[step, image, channel])
    elif layer.kind not in (LayerKind.MIX, LayerKind.POOL):
        x = values[layer.input].reshape(*values[layer.input].shape[:3], layer.side, layer.side)
        for step, _, _, row, column in walk(x):
            sops[step] += reached(layer.side, layer.kernel, row, column) * layer.channels
        fired = {tuple(index[1:]) for index in walk(x)}
        events = sum(reached(layer.side, layer.kernel, row, column) for _, _, row, column in fired)
    return [sops[step] for step in steps], events


@pytest.fixture
def counted(variant, bundled):
    images = fit_images(bundled.images[:2], channels=variant.in_channels, size=variant.image_size)
    trace = run(init_model(variant, seed=4), images)
    return variant, images, trace


def test_every_layer_against_brute_force(counted):
    config, images, trace = counted
    for layer in count(config, images, trace).layers:
        bits = min(8, config.timesteps)
        sops, events = brute_force(layer.layer, config, images, trace.values, bits)
        assert (layer.layer.name, layer.sops.tolist(), layer.events) == (layer.layer.name, sops, events)


def test_spikes_rates_hits_and_saturations(counted):
    config, images, trace = counted
    counts = count(config, images, trace)
    by_name = {layer.layer.name: layer for layer in counts.layers}
    conv1 = trace.values["conv1"]
    assert by_name["conv2"].spikes.tolist() == [int(step.sum()) for step in conv1]
    assert by_name["conv1"].output_spikes.tolist() == by_name["conv2"].spikes.tolist()
    assert by_name["conv2"].firing_rate == pytest.approx(float(conv1.float().mean()))
    assert by_name["conv5"].output_spikes.tolist() == [0] * config.timesteps
    qa, ka = trace.values["blocks.0.qa"], trace.values["blocks.0.ka"]
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
    conv1 = count(small, images, trace, chunk_bits=bits).layers[0]
    _, events = brute_force(conv1.layer, small, images, trace.values, bits)
    assert conv1.events == events


def test_dense_operations_are_those_of_the_paper():
    macs = {layer.name: round(layer.macs / 1e6, 3) for layer in layers(CONFIGS["4-384"])}
    expected = {"conv1": 1.327, "conv2": 42.467, "conv3": 169.869, "conv4": 169.869, "conv5": 84.935}
    block = {"q": 9.437, "k": 9.437, "mix": 0.221, "proj": 9.437, "fc1": 37.749, "fc2": 37.749}
    expected |= {f"blocks.{index}.{name}": value for index in range(4) for name, value in block.items()}
    assert macs == expected | {"pool": 0.0, "head": 0.004}


def test_energy(small, bundled):
    images = fit_images(bundled.images[:2], channels=3, size=16)
    counts = count(small, images, run(init_model(small, seed=1), images))
    others = counts.layers[1:]
    sops = sum(int(layer.sops.sum()) for layer in others) / 2
    estimate = sum(layer.sops_dense_estimate for layer in others) / 2
    macs = 27 * 2 * 16 * 16
    assert energy(counts).measured == pytest.approx((4.6 * macs + 0.9 * sops) * 1e-9)
    assert energy(counts, conv1_steps=4).dense_estimate == pytest.approx((4 * 4.6 * macs + 0.9 * estimate) * 1e-9)
    assert sum(part.measured for part in layer_energy(counts)) == pytest.approx(energy(counts).measured)
    # Borders only lose operations.
    assert energy(counts).measured < energy(counts).dense_estimate


def test_paper_figures():
    assert paper_figure(CONFIGS["4-384"]).energy_mj == 0.49
    assert paper_figure(CONFIGS["2-256"]).data == "CIFAR10-DVS"
    assert paper_figure(CONFIGS["tiny"]).network == "4-384"
