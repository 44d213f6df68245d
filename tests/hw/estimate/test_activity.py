"""What fires at the input of a layer: measured against plain loops, expected against samples."""

import dataclasses

import numpy as np
import pytest
import torch

from golden.calibrate import init_model
from golden.config import Input, ModelConfig
from golden.counts import count
from golden.errors import SaformerError
from golden.integer import run
from hw.compile.schedule import Map, schedule
from hw.config import HardwareConfig
from hw.estimate.activity import Rate, expect, expected_maximum, input_spikes, measure, visits, words_read
from hw.program import Kind

CONFIG = HardwareConfig(name="test", lanes=16, bus_bytes=4, beat_channels=4, word_channels=16, passes=4)
MODEL = ModelConfig(name="small", dim=16, depth=1, image_size=16)
FRAMES = dataclasses.replace(MODEL, input=Input.EVENTS, in_channels=2, timesteps=7)


def _case(model_config):
    model = init_model(model_config, seed=2)
    shape = (3, 16, 16) if model_config.input is Input.PIXELS else (7, 2, 16, 16)
    limit = 256 if model_config.input is Input.PIXELS else 2
    images = torch.randint(limit, (2, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return schedule(model, CONFIG), run(model, images), images


def _events(step, spikes):
    """Events and set bits of every visit, by plain loops in the order of `hw.program.LEVELS`."""
    side, half = step.tile_side, step.kernel // 2
    planes, passes, _, _, height, width = spikes.shape
    for tile_y, tile_x, turn, y, x, plane in np.ndindex(height // side, width // side, step.passes, side, side, planes):
        row, column = tile_y * side + y, tile_x * side + x
        window = spikes[
            plane, turn % passes, :, :, max(0, row - half) : row + half + 1, max(0, column - half) : column + half + 1
        ]
        yield window.any(axis=0).sum(), window.sum(), window[0].size


@pytest.mark.parametrize("config", [MODEL, FRAMES], ids=["pixels", "frames"])
def test_measured_visits_follow_the_loops(config):
    steps, trace, images = _case(config)
    for step, active in zip(steps, measure(steps, trace, images.numpy(), config, CONFIG, image=1), strict=True):
        if step.kind is not Kind.EVENT:
            assert active is None
            continue
        spikes = input_spikes(step.reads, trace, images.numpy(), config, CONFIG, image=1)
        expected = np.array(list(_events(step, spikes)))
        for column, values in enumerate((active.events, active.spikes, active.inputs)):
            np.testing.assert_array_equal(values, expected[:, column], err_msg=step.name)
        assert active.nulls == np.count_nonzero(expected[:, 0] == 0)


def test_measured_events_are_those_of_the_golden_counts():
    steps, trace, images = _case(MODEL)
    counted = {
        layer.layer.name: layer for layer in count(MODEL, images[:1], run(init_model(MODEL, seed=2), images[:1])).layers
    }
    active = measure(steps, trace, images.numpy(), MODEL, CONFIG)
    for step, measured in zip(steps, active, strict=True):
        if measured is not None and step.name != "blocks.0.q":
            assert measured.events.sum() == counted[step.name].events, step.name


def test_words_of_a_window_are_counted_once_a_row():
    spikes = Map(name="x", height=3, width=4, channels=12, planes=2)
    words = words_read(spikes, 3, CONFIG)
    for plane, row, column in np.ndindex(2, 3, 4):
        total = 0
        for y in range(max(0, row - 1), min(3, row + 2)):
            beats = [
                ((plane * 3 + y) * 4 + x) * 3 + beat
                for x in range(max(0, column - 1), min(4, column + 2))
                for beat in range(3)
            ]
            total += len({beat // CONFIG.word_beats for beat in beats})
        assert words[plane, 0, row, column] == total


def test_visits_repeat_a_map_that_serves_all_passes():
    step = dataclasses.replace(_case(MODEL)[0][1], passes=2, tile_side=1)
    grid = np.arange(2 * 16 * 16).reshape(2, 1, 16, 16)
    assert visits(step, grid)[:8].tolist() == [0, 256, 0, 256, 1, 257, 1, 257]


@pytest.mark.parametrize(
    ("inputs", "probability", "floor"), [(1, 0.3, 1), (40, 0.1, 8), (300, 0.02, 4), (9, 0.0, 2), (9, 1.0, 2)]
)
def test_expected_maximum_is_the_mean_of_samples(inputs, probability, floor):
    samples = np.maximum(np.random.default_rng(0).binomial(inputs, probability, 400_000), floor)
    error = samples.std() / len(samples) ** 0.5
    assert abs(expected_maximum(inputs, probability, floor) - samples.mean()) <= 5 * error + 1e-9


@pytest.mark.parametrize("config", [MODEL, FRAMES], ids=["pixels", "frames"])
def test_expected_events_are_those_of_independent_spikes(config):
    steps, _, _ = _case(config)
    expected = expect(steps, {step.name: Rate(rate=0.2) for step in steps}, config, CONFIG)
    for step, active in zip(steps, expected, strict=True):
        if active is None or step.reads.name.endswith(".counts"):
            continue
        # The second pass of seven timesteps has three of them.
        bits = (4, 3) if config is FRAMES else (4,)
        inputs = int(active.inputs.sum()) / len(bits)
        assert active.events.sum() == pytest.approx(inputs * sum(1 - 0.8**steps for steps in bits))
        assert active.spikes.sum() == pytest.approx(0.2 * inputs * sum(bits))


def test_bits_of_window_sums_are_those_of_random_tokens():
    steps, _, _ = _case(MODEL)
    query = next(step for step in steps if step.name == "blocks.0.q")
    active = expect(steps, {step.name: Rate(rate=0.3) for step in steps}, MODEL, CONFIG)[steps.index(query)]
    tokens = np.random.default_rng(4).random((100_000, MODEL.timesteps, MODEL.window_tokens)) < 0.3
    counts = tokens.sum(axis=2)
    planes = query.reads.planes
    for plane, share in enumerate(active.probability.reshape(-1, planes)[0]):
        bit = counts >> (planes - 1 - plane) & 1
        assert share == pytest.approx(bit.any(axis=1).mean(), abs=0.01)


def test_silent_and_saturated_networks():
    steps, _, _ = _case(MODEL)
    for rate in (0.0, 1.0):
        active = expect(steps, {step.name: Rate(rate=rate) for step in steps}, MODEL, CONFIG)
        for step, layer in zip(steps, active, strict=True):
            if layer is not None and not step.reads.name.endswith(".counts"):
                np.testing.assert_allclose(layer.events, rate * layer.inputs)
                least = 3 + np.arange(len(layer.inputs)) % 2
                np.testing.assert_allclose(layer.cost(least), np.maximum(rate * layer.inputs, least))


@pytest.mark.parametrize(
    ("rate", "message"),
    [
        ({"rate": 20}, "rate is 20: divide percent by 100"),
        ({"rate": 0.2, "any": 1.2}, "p_any is 1.2: divide percent by 100"),
        ({"rate": 0.2, "any": 0.1}, "p_any \\(0.1\\) is less than rate \\(0.2\\)"),
    ],
)
def test_impossible_rates(rate, message):
    with pytest.raises(SaformerError, match=message):
        Rate(**rate)


def test_more_inputs_than_their_spikes_allow():
    with pytest.raises(SaformerError, match=r"p_any \(0.9\) is more than 4 timesteps at rate 0.2 can give"):
        Rate(rate=0.2, any=0.9).at_any(4)
    assert Rate(rate=0.2, any=0.5).at_any(4) == 0.5


def test_a_layer_without_a_rate_is_named():
    steps, _, _ = _case(MODEL)
    with pytest.raises(SaformerError, match="no firing rate of the input of conv1"):
        expect(steps, {}, MODEL, CONFIG)
