"""The neuron path: bench, and the latencies that others build on."""

from dataclasses import asdict, replace

import pytest

from hw.config import HARDWARE, HardwareConfig
from hw.neurons.neuron_path import NeuronPath
from sim.runner import run_bench

CONFIGS = (
    HARDWARE["small"],
    HardwareConfig(
        name="odd",
        timesteps=3,
        passes=3,
        beat_channels=8,
        current_bits=19,
        acc_bits=16,
        stream_depth=100,
        state_depth=40,
    ),
)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_outputs_are_those_of_the_integer_model(config):
    result = run_bench(NeuronPath(config=config), "sim.benches.neurons.neuron_path", parameters=asdict(config))
    assert set(result.tests) == {"every_target", "fewer_timesteps", "reset_in_flight"}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_latencies_are_attributes(config):
    path = NeuronPath(config=config)
    assert (path.write_latency, path.latency) == (7, 7 + 2 * config.timesteps + (config.passes > 1))


def test_states_need_time_only_where_there_are_passes():
    config = HARDWARE["small"]
    assert NeuronPath.state_spacing(config) == 1
    assert NeuronPath.state_spacing(replace(config, passes=2)) == 2 * config.timesteps + 3
