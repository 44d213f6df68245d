"""The benchmark runs, and what SpikingJelly computes is the network that is measured."""

import pytest
import torch

from golden.integer import run
from scripts.inputs import load_images, resolve_model
from tests.benchmarks.speed import JellySAFormer, compare


def test_figures():
    figures = compare("tiny", images=8)
    assert figures["ratio"] == pytest.approx(
        figures["integer_images_per_second"] / figures["spikingjelly_images_per_second"]
    )
    for precision in ("float32", "bfloat16"):
        speeds = figures["training_images_per_second"][precision]
        assert speeds.keys() == {"one-step", "all-steps", "quantised"}
        assert all(speed > 0 for speed in speeds.values())


def test_spikingjelly_has_the_same_network():
    """Its numbers are real, so that some spikes differ; hardly a prediction does."""
    model = resolve_model("tiny").model
    pixels = load_images(model.config, None, count=50).images
    with torch.no_grad():
        theirs = JellySAFormer(model).eval()(pixels.float()).sum(dim=0).argmax(dim=1)
    assert int((theirs == run(model, pixels).predictions).sum()) >= 45
