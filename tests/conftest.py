"""Fixtures for all tests."""

import dataclasses

import pytest
import torch

from golden.config import Input, ModelConfig
from golden.data import fit_images, load_bundled
from golden.events import random_frames

# Small configurations that take every choice at least once.
SMALL = ModelConfig(name="small", image_size=16, dim=16, depth=1, timesteps=4, windows=4)
VARIANTS = {
    "default": {},
    "one window": {"windows": 1},
    "no aggregation": {"windows": 16},
    "spike aggregation": {"aggregate": "spike"},
    "large pool": {"pool_kernel": 3},
    "pool after 2, 3 and 4": {"pool_stages": (2, 3, 4), "image_size": 32, "windows": 4},
    "one pool": {"pool_stages": (4,), "image_size": 8},
    "rate head": {"head": "rate"},
    "numbers into the projection": {"mix_neuron": False},
    "no depthwise convolution": {"dwc": False},
    "soft reset": {"reset": "soft"},
    "one timestep": {"timesteps": 1},
    "many timesteps": {"timesteps": 16},
    "three blocks, gray": {"depth": 3, "in_channels": 1, "timesteps": 3},
    "events": {"input": "events", "in_channels": 2, "timesteps": 5},
    "few weight bits, low thresholds": {"weight_bits": 3, "threshold": 0.5, "attention_threshold": 1.25},
    "ssa": {"attention": "ssa", "heads": 2, "timesteps": 3},
    "sdsa, soft reset": {"attention": "sdsa", "reset": "soft"},
    "qk-token": {"attention": "qk-token", "heads": 4},
    "qk-channel, rate head": {"attention": "qk-channel", "head": "rate", "depth": 2},
    "a2os2a": {"attention": "a2os2a", "heads": 2, "levels": 5},
    "a2os2a, ternary": {"attention": "a2os2a", "neuron": "ternary", "timesteps": 3},
    "low aggregate threshold": {"aggregate_threshold": 0.3125, "windows": 1},
    "low mix threshold": {"mix_threshold": 0.5},
    "integrate and fire": {"neuron": "if", "reset": "soft"},
    "slow leak, 8 timesteps": {"decay": 0.75, "timesteps": 8},
    "ternary, fast leak": {"neuron": "ternary", "decay": 0.25},
    "ternary, soft reset": {"neuron": "ternary", "reset": "soft", "head": "rate"},
    "counts": {"neuron": "relu-count", "levels": 15, "attention": "sdsa"},
    "several spikes": {"neuron": "pmsm", "levels": 31, "timesteps": 2},
}


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def variant(request):
    """Every small configuration in turn."""
    return dataclasses.replace(SMALL, **request.param)


@pytest.fixture
def small():
    """A configuration that runs in milliseconds."""
    return SMALL


@pytest.fixture(scope="session")
def bundled():
    """The 100 images that come with the project."""
    return load_bundled()


@pytest.fixture
def inputs(bundled):
    """A function that returns some inputs for a configuration: bundled images, or random frames of events."""

    def some(config, count):
        if config.input is Input.EVENTS:
            return random_frames(config, count, seed=7).images
        return fit_images(bundled.images[:count], channels=config.in_channels, size=config.image_size)

    return some


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Sums whose order does not depend on the machine, and no threads that wait for each other on a busy one."""
    torch.set_num_threads(1)
