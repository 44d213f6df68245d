"""The intervals between positions of `tiny`, worked out by hand."""

import dataclasses

import pytest

from golden.calibrate import init_model
from golden.config import CONFIGS
from hw.compile.intervals import intervals
from hw.compile.lowering import lower
from hw.config import HARDWARE

TINY = dataclasses.replace(CONFIGS["tiny"], depth=1)


def found(model, hardware):
    """The intervals of every layer that has them."""
    layers = lower(init_model(model, seed=0), hardware).layers
    return {layer.step.name: intervals(layer.step, hardware) for layer in layers if layer.step.weights is not None}


def test_a_beat_of_one_channel_takes_a_cycle_for_each_channel():
    # conv5: the beats of its last position, and three cycles later five planes of counts (a window has 16 tokens).
    # K: its own spikes, and three cycles later those of the window.
    assert found(TINY, HARDWARE["default"]) == {
        "conv1": (8, 8),
        "conv2": (16, 16),
        "conv3": (32, 32),
        "conv4": (64, 64),
        "conv5": (64, 64 + 5 * 64 + 3),
        "blocks.0.q": (64, 64),
        "blocks.0.k": (64, 64 + 64 + 3),
        "blocks.0.proj": (64, 64),
        "blocks.0.fc1": (64, 64),
        "blocks.0.fc2": (64, 64),
        "head": (10, 10),
    }


def test_no_position_is_shorter_than_the_loops_allow():
    # 16 lanes leave in four beats of four channels.
    named = found(TINY, HARDWARE["small"])
    assert named["conv1"] == (4, 4)
    assert named["conv5"] == (4, 4 + 5 * 4 + 3)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_state_has_to_be_back_before_the_next_pass(steps):
    hardware = dataclasses.replace(HARDWARE["small"], timesteps=steps, passes=8 // steps)
    named = found(dataclasses.replace(TINY, timesteps=8, image_size=16), hardware)
    assert named["conv2"] == (max(4, 2 * steps + 3), max(4, 2 * steps + 3))
