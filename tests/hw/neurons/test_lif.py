"""The neurons: bench, latency, and what the constructor refuses."""

import pytest

from hw.neurons.lif import LifArray
from sim.runner import run_bench


@pytest.mark.parametrize(
    "sizes",
    [
        {"channels": 2, "timesteps": 16, "current_bits": 24, "reset": "hard", "carried": False},
        {"channels": 4, "timesteps": 4, "current_bits": 20, "reset": "soft", "carried": False},
        {"channels": 3, "timesteps": 4, "current_bits": 20, "reset": "hard", "carried": True},
        {"channels": 1, "timesteps": 1, "current_bits": 17, "reset": "soft", "carried": True},
    ],
    ids=["hard-16", "soft-4", "hard-carried", "soft-carried"],
)
def test_spikes_are_those_of_the_integer_model(sizes):
    result = run_bench(LifArray(**sizes), "sim.benches.neurons.lif", parameters=sizes)
    assert set(result.tests) == {"random_trains", "corners", "reset_in_flight"}


def test_latency_is_an_attribute():
    sizes = {"channels": 4, "timesteps": 4, "current_bits": 24}
    assert LifArray(**sizes).latency == 7
    assert LifArray(**sizes, carried=True).latency == 8


@pytest.mark.parametrize("name", ["channels", "timesteps", "current_bits"])
@pytest.mark.parametrize("value", [0, -1, 2.0, "4", True])
def test_wrong_size(name, value):
    sizes = {"channels": 4, "timesteps": 4, "current_bits": 24} | {name: value}
    with pytest.raises(TypeError, match=f"{name} must be a positive integer, not {value!r}"):
        LifArray(**sizes)


def test_wrong_reset():
    with pytest.raises(ValueError, match="'none' is not a valid Reset"):
        LifArray(channels=4, timesteps=4, current_bits=24, reset="none")
