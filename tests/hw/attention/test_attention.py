"""The attention unit: bench, and latencies as attributes."""

from dataclasses import asdict, replace

import pytest

from hw.attention.attention import COUNT_BITS, AttentionUnit
from hw.config import HARDWARE
from sim.runner import run_bench

SMALL = replace(HARDWARE["small"], query_depth=2**COUNT_BITS)
CONFIGS = (
    replace(SMALL, name="one pass"),
    replace(SMALL, name="passes", passes=3, lanes=12, timesteps=3, beat_channels=2, channel_depth=20, word_channels=8),
)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_masks_are_those_of_the_integer_model(config):
    result = run_bench(AttentionUnit(config=config), "sim.benches.attention.attention", parameters=asdict(config))
    assert set(result.tests) == {"random_maps", "thresholds", "largest_map", "keys_beside_masks", "reset_in_flight"}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_latencies_are_attributes(config):
    unit = AttentionUnit(config=config)
    assert (unit.hits_latency, unit.latency) == (2, 2 * config.beat_channels * config.timesteps + 5)
