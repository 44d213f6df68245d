"""The integer model: the neuron against exact rationals, every layer against a naive computation, run's contract."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.attention.registry import find_core
from golden.calibrate import init_model
from golden.config import Attention, Input, Reset
from golden.errors import SaformerError
from golden.integer import (
    IntegerModel,
    Trace,
    convolve,
    convolve_depthwise,
    max_pool,
    pooled_current,
    project,
    run,
    window_sums,
    write_stream,
)
from golden.neurons.exact import lif, lif_step
from golden.neurons.registry import layer_neuron
from golden.tensors import LayerTensors, tensor_specs


def real_lif(currents, threshold, reset):
    """Spikes of eq. 1-3 with tau = 2, in exact rational arithmetic."""
    v, spikes = Fraction(0), []
    for current in currents:
        h = v + (current - v) / 2
        fired = h >= threshold
        v = (Fraction(0) if reset is Reset.HARD else h - threshold) if fired else h
        spikes.append(int(fired))
    return spikes


def integer_lif(currents, threshold, reset):
    return lif(torch.tensor(currents, dtype=torch.int32), threshold, reset=reset).tolist()


@pytest.mark.parametrize("reset", Reset)
@settings(deadline=None, max_examples=400)
@given(data=st.data())
def test_floor_loses_no_spike(reset, data):
    threshold = data.draw(st.integers(-100, 100))
    near = st.integers(threshold - 3, threshold + 3).map(lambda x: 2 * x) | st.integers(-300, 300)
    currents = data.draw(st.lists(near, min_size=1, max_size=16))
    assert integer_lif(currents, threshold, reset) == real_lif(currents, threshold, reset)


@pytest.mark.parametrize("reset", Reset)
@pytest.mark.parametrize("timesteps", [4, 16])
def test_floor_loses_no_spike_in_many_trains(reset, timesteps):
    # The rational neuron in integers: with membranes scaled by 2**T every halving is exact.
    generator = torch.Generator().manual_seed(timesteps)
    currents = torch.randint(-40, 60, (timesteps, 20_000), generator=generator, dtype=torch.int32)
    thresholds = torch.randint(1, 30, (20_000,), generator=generator, dtype=torch.int32)
    scaled, v, expected = 2**timesteps, torch.zeros(20_000, dtype=torch.int64), []
    for current in currents.long():
        v = (v + current * scaled) // 2
        fired = v >= thresholds * scaled
        v = torch.where(fired, 0 if reset is Reset.HARD else v - thresholds * scaled, v)
        expected.append(fired)
    assert torch.equal(lif(currents, thresholds, reset=reset), torch.stack(expected).to(torch.uint8))


def test_threshold_is_inclusive():
    v, s = lif_step(torch.zeros(3, dtype=torch.int32), torch.tensor([18, 20, 21]), 10, reset=Reset.HARD)
    assert s.tolist() == [0, 1, 1]
    assert v.tolist() == [9, 0, 0]
    assert lif_step(torch.tensor([-1]), torch.tensor([0]), 5, reset=Reset.HARD)[0].tolist() == [-1]
    assert lif_step(torch.tensor([7]), torch.tensor([20]), 10, reset=Reset.SOFT)[0].tolist() == [3]


def _layer(generator, *shape):
    weight = torch.randint(-127, 128, shape, generator=generator).to(torch.int8)
    bias = torch.randint(-(2**20), 2**20, shape[:1], generator=generator, dtype=torch.int32)
    return LayerTensors(weight=weight, bias=bias)


def naive_convolution(x, weight, bias):
    """3x3 with zero padding 1, in 64-bit integers: [K, Ci, H, W] and [Co, Ci, 3, 3]."""
    padded = np.pad(x.numpy().astype(np.int64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))  # [K, Ci, H, W, 3, 3]
    sums = np.einsum("kihwab,oiab->kohw", windows, weight.numpy().astype(np.int64))
    return sums + bias.numpy().reshape(-1, 1, 1)


@pytest.mark.parametrize("largest", [1, 255])
def test_convolution(largest):
    generator = torch.Generator().manual_seed(largest)
    layer = _layer(generator, 5, 30, 3, 3)
    x = torch.randint(largest + 1, (2, 30, 6, 6), generator=generator).to(torch.uint8)
    assert np.array_equal(convolve(x, layer).numpy(), naive_convolution(x, layer.weight, layer.bias))


def test_linear_map_and_depthwise_convolution():
    generator = torch.Generator().manual_seed(1)
    x = torch.randint(2, (3, 2, 7, 4, 4), generator=generator).to(torch.uint8)
    linear, dwc = _layer(generator, 9, 7), _layer(generator, 7, 3, 3)
    centre = torch.zeros(9, 7, 3, 3, dtype=torch.int64)
    centre[:, :, 1, 1] = linear.weight
    diagonal = torch.zeros(7, 7, 3, 3, dtype=torch.int64)
    diagonal[range(7), range(7)] = dwc.weight.long()
    flat = x.flatten(0, 1)
    assert np.array_equal(project(x, linear).flatten(0, 1), naive_convolution(flat, centre, linear.bias))
    assert np.array_equal(convolve_depthwise(x, dwc).flatten(0, 1), naive_convolution(flat, diagonal, dwc.bias))


@pytest.mark.parametrize("kernel", [2, 3])
def test_max_pool(kernel):
    x = torch.arange(-18, 18, dtype=torch.int32).reshape(1, 1, 6, 6)
    pooled = max_pool(x, kernel)
    low = torch.tensor([0, 2, 4]) - (kernel - 1) // 2
    for row in range(3):
        for column in range(3):
            top, left = max(int(low[row]), 0), max(int(low[column]), 0)
            window = x[0, 0, top : int(low[row]) + kernel, left : int(low[column]) + kernel]
            assert pooled[0, 0, row, column] == window.max()


def test_window_sums():
    x = torch.arange(16, dtype=torch.int32).reshape(1, 4, 4)
    assert window_sums(x, 2).tolist() == [[[0 + 1 + 4 + 5, 2 + 3 + 6 + 7], [8 + 9 + 12 + 13, 10 + 11 + 14 + 15]]]
    assert window_sums(x, 4).tolist() == [[[120]]]
    assert torch.equal(window_sums(x, 1), x)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    side=st.sampled_from([1, 2, 3, 5]),
    windows=st.integers(1, 3),
    rate=st.sampled_from([0, 3, 40, 100]),
)
def test_pooling_the_input_is_pooling_the_current(seed, side, windows, rate):
    generator = torch.Generator().manual_seed(seed)
    layer, grid = _layer(generator, 6, 9), side * windows
    spikes = (torch.randint(100, (2, 3, 9, grid, grid), generator=generator) < rate).to(torch.uint8)
    counts = window_sums(spikes, side)
    expected = window_sums(project(spikes, layer), side)
    assert torch.equal(pooled_current(counts, layer, tokens=side**2), expected)
    # The same from the bits of the counts, as the hardware adds them up.
    planes = [counts >> bit & 1 for bit in range((side**2).bit_length())]
    bias = side**2 * layer.bias.reshape(-1, 1, 1)
    sums = sum((project(plane, layer) - layer.bias.reshape(-1, 1, 1)) << bit for bit, plane in enumerate(planes))
    assert torch.equal(sums + bias, expected)


def test_stream_saturates_and_counts():
    stream = torch.tensor([32760, 32760, -32760, 5], dtype=torch.int32).reshape(1, 1, 4, 1, 1)
    x = torch.tensor([7, 8, -5, -1], dtype=torch.int32).reshape(1, 1, 4, 1, 1)
    written, saturated = write_stream(stream, x, torch.tensor([0, 0, 1, 3], dtype=torch.int32))
    assert written.flatten().tolist() == [32767, 32767, -32768, -3]
    assert saturated.tolist() == [[2]]


def test_first_class_wins_a_tie():
    logits = torch.tensor([[[1, 5, 2]], [[3, 1, 4]]], dtype=torch.int32)
    assert Trace(values={"logits": logits}, saturations={}).predictions.tolist() == [1]
    assert Trace(values={"logits": logits[:, :, [1, 2, 0]]}, saturations={}).predictions.tolist() == [0]


def test_shapes_and_types(variant, inputs):
    images = inputs(variant, 3)
    trace = run(init_model(variant, seed=1), images)
    t, d, side = variant.timesteps, variant.dim, variant.grid
    assert trace.values["conv1"].shape == (t, 3, d // 8, variant.image_size, variant.image_size)
    assert trace.values["stream.conv5"].shape == (t, 3, d, side, side)
    if variant.attention is Attention.SASA:
        assert trace.values["blocks.0.qa"].shape == trace.values["blocks.0.ka"].shape == (t, 3, d, variant.windows)
        assert trace.values["blocks.0.mask"].shape == (t, 3, d)
    assert trace.values["blocks.0.k"].shape == trace.values["blocks.0.mix"].shape == (t, 3, d, side, side)
    assert trace.values["head"].shape == (t, 3, d)
    assert trace.values["blocks.0.fc1"].shape == (t, 3, 4 * d, side, side)
    assert trace.logits.shape == (t, 3, variant.classes)
    assert ("frames" in trace.values) == (variant.input is Input.EVENTS)
    neurons, core = [layer_neuron(variant)], find_core(variant)
    neurons += [core.neuron(part, variant) for part in core.parts] if core else []
    low, high = min(neuron.low for neuron in neurons), max(neuron.high for neuron in neurons)
    types = {value.dtype for value in trace.values.values()}
    assert types == {torch.uint8, torch.int32} | ({torch.int8} if low else set())
    spikes = [value for value in trace.values.values() if value.dtype != torch.int32]
    assert all(low <= int(value.min()) <= int(value.max()) <= high for value in spikes)
    assert all(value.shape == (t, 3) for value in trace.saturations.values())


def test_images_do_not_depend_on_each_other(variant, inputs):
    images = inputs(variant, 4)
    model = init_model(variant, seed=2)
    together = run(model, images)
    for index in range(4):
        alone = run(model, images[index : index + 1])
        assert all(torch.equal(together.values[name][:, index], alone.values[name][:, 0]) for name in alone.values)


def test_wrong_images(small, bundled):
    model = init_model(small, seed=1)
    with pytest.raises(SaformerError, match=r"shape \[K, 3, 16, 16\], not uint8 \[2, 3, 32, 32\]"):
        run(model, bundled.images[:2])
    with pytest.raises(SaformerError, match=r"takes uint8 images .*, not float32 \[1, 3, 16, 16\]"):
        run(model, torch.zeros(1, 3, 16, 16))


def test_wrong_frames(small):
    model = init_model(dataclasses.replace(small, input="events"), seed=1)
    with pytest.raises(SaformerError, match=r"uint8 frames of shape \[K, 4, 3, 16, 16\], not uint8 \[2, 3, 16, 16\]"):
        run(model, torch.zeros(2, 3, 16, 16, dtype=torch.uint8))
    with pytest.raises(SaformerError, match="frames of events hold 0 and 1, not 3"):
        run(model, torch.full((1, 4, 3, 16, 16), 3, dtype=torch.uint8))


def test_equal_frames_are_an_image(small, inputs):
    # An image of pixels 0 and 1, shown at every timestep, is the same as a static one.
    model = init_model(small, seed=1)
    events = IntegerModel(config=dataclasses.replace(small, input="events"), tensors=model.tensors)
    images = inputs(small, 3) >> 7
    frames = images.unsqueeze(1).expand(-1, small.timesteps, -1, -1, -1).contiguous()
    expected = run(model, images)
    trace = run(events, frames)
    assert torch.equal(trace.values["frames"], frames.transpose(0, 1))
    assert all(torch.equal(trace.values[name], expected.values[name]) for name in expected.values)


def _changed(model, name, change):
    tensors = dict(model.tensors)
    tensors[name] = change(tensors[name].clone())
    return IntegerModel(config=model.config, tensors=tensors)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("conv1.weight", lambda x: x[:, :2], r"conv1.weight must be int8 \[2, 3, 3, 3\], not int8 \[2, 2, 3, 3\]"),
        ("conv1.bias", lambda x: x.long(), r"conv1.bias must be int32 \[2\], not int64 \[2\]"),
        ("blocks.0.fc1.weight", lambda x: x.fill_(-128), "must be between -127 and 127, but has -128 to -128"),
        ("conv5.shift", lambda x: x.fill_(4), "conv5.shift must be between 0 and 3"),
        ("blocks.0.dwc.one", lambda x: x.fill_(0), "blocks.0.dwc.one must be between 1 and 8388607"),
        ("stream.threshold", lambda x: x.fill_(2**20), "stream.threshold must be between -524287 and 524287"),
    ],
)
def test_illegal_tensors(small, name, change, message):
    model = init_model(small, seed=1)
    with pytest.raises(SaformerError, match=message):
        _changed(model, name, change)


def test_missing_and_unknown_tensors(small):
    tensors = dict(init_model(small, seed=1).tensors)
    with pytest.raises(SaformerError, match="has a tensor extra that its configuration does not know"):
        IntegerModel(config=small, tensors=tensors | {"extra": torch.zeros(1)})
    del tensors["head.bias"]
    with pytest.raises(SaformerError, match=r"the model has no tensor head\.bias"):
        IntegerModel(config=small, tensors=tensors)
    assert "head.bias" in tensor_specs(small)
