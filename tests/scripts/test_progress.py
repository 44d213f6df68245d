"""The progress bar of a comparison."""

import pytest

from golden.calibrate import init_model
from golden.config import ModelConfig
from hw.compile.lowering import lower
from hw.config import HARDWARE
from scripts.progress import ProgressBar, describe
from sim.cosim import Position


@pytest.mark.parametrize(
    ("done", "layer", "images", "text"),
    [
        (0, 1, 1, "conv1, cycle 1,500, 3,000 a second"),
        (2, 0, 5, "image 3 of 5, load, cycle 1,500, 3,000 a second"),
        (0, 2, 1, "end, cycle 1,500, 3,000 a second"),
    ],
)
def test_says_where_it_is(done, layer, images, text):
    position = Position(done=done, cycles=1500, layer=layer, expected=9000)
    assert describe(position, ["load", "conv1"], images, seconds=0.5) == text


def test_no_speed_without_time():
    assert describe(Position(done=0, cycles=0, layer=0, expected=9), ["load"], 1, seconds=0.0).endswith("0 a second")


def test_moves_by_cycles_and_not_beyond_an_image():
    model = init_model(ModelConfig(name="small", dim=16, depth=1, image_size=8, timesteps=2), seed=1)
    with ProgressBar(lowered=lower(model, HARDWARE["small"]), images=2) as bar:
        for done, cycles, completed in ((0, 0, 0), (0, 40, 40), (0, 140, 100), (1, 0, 100), (1, 30, 130)):
            bar.show(Position(done=done, cycles=cycles, layer=1, expected=100))
            [task] = bar.tasks
            assert (task.completed, task.total) == (completed, 200)
