"""The analytic model against the RTL: cycles of every layer and in total."""

import dataclasses

import pytest

from golden.calibrate import init_model
from golden.config import CONFIGS
from golden.container import load_model
from golden.data import fit_images, load_bundled
from golden.integer import run
from hw.compile.lowering import lower
from hw.config import HARDWARE
from hw.estimate.inference import estimate_image
from hw.estimate.timelines import ExternalMemory
from sim.cosim import cosim
from sim.simulate import Simulator

SHAPES = {
    "tiny, trained": ("default", None, {}),
    "D = 48, three timesteps, gray": (
        "default",
        4,
        {"dim": 48, "timesteps": 3, "in_channels": 1, "windows": 16, "depth": 1},
    ),
    "D = 96, one timestep, no aggregation": ("paper", 4, {"dim": 96, "timesteps": 1, "windows": 64, "depth": 1}),
    "D = 96, two timesteps, gray, sixteen windows": (
        "paper",
        4,
        {"dim": 96, "timesteps": 2, "in_channels": 1, "windows": 16, "depth": 1},
    ),
    "D = 128, one timestep, four windows": ("paper", 4, {"dim": 128, "timesteps": 1, "windows": 4, "depth": 1}),
    "16 pixels, two timesteps, one window": ("default", 4, {"image_size": 16, "timesteps": 2, "windows": 1}),
    "16 lanes, beats of four channels": ("small", 4, {"depth": 1, "dim": 32}),
}


@pytest.mark.parametrize(("hardware", "seed", "changes"), SHAPES.values(), ids=SHAPES)
def test_the_estimate_is_close_to_the_rtl(hardware, seed, changes):
    config, memory = HARDWARE[hardware], ExternalMemory(latency=14, bandwidth=8)
    tiny = CONFIGS["tiny"]
    model = load_model("tiny") if seed is None else init_model(dataclasses.replace(tiny, **changes), seed=seed)
    images = fit_images(load_bundled().images[5:6], channels=model.config.in_channels, size=model.config.image_size)
    with Simulator(config=config, memory=memory) as engine:
        result = cosim(model, images, [0], config=config, engine=engine)
    expected = estimate_image(lower(model, config), run(model, images), images.numpy(), memory)
    assert expected.cycles == pytest.approx(result.cycles[0], rel=0.01)
    measured = {layer.name: layer.cycles for layer in result.layers}
    for layer in expected.layers:
        assert layer.cycles == pytest.approx(measured[layer.name], rel=0.05), layer.name
