"""The mixing unit: bench, and what the constructor refuses."""

from dataclasses import asdict, replace

import pytest

from hw.attention.depthwise import MixUnit
from hw.config import HARDWARE
from sim.runner import run_bench

SMALL = replace(HARDWARE["small"], max_width=6)


@pytest.mark.parametrize(
    ("config", "spacing"),
    [
        pytest.param(SMALL, 1, id="one pass"),
        pytest.param(replace(SMALL, lanes=8, timesteps=2, passes=3, beat_channels=2), 7, id="three passes"),
    ],
)
def test_currents_are_those_of_the_integer_model(config, spacing):
    component = MixUnit(config=config, state_spacing=spacing)
    result = run_bench(
        component, "sim.benches.attention.depthwise", parameters={"config": asdict(config), "spacing": spacing}
    )
    assert set(result.tests) == {"random_layers", "late_groups", "corners", "idle", "reset_in_flight"}


@pytest.mark.parametrize("spacing", [0, -1, 2.5, True])
def test_the_spacing_is_checked(spacing):
    with pytest.raises(TypeError, match=f"state_spacing must be a positive integer, not {spacing!r}"):
        MixUnit(config=SMALL, state_spacing=spacing)
