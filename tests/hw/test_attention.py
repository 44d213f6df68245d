"""The attention unit: bench, and latencies as attributes."""

from dataclasses import asdict, replace

from hw.attention import COUNT_BITS, AttentionUnit
from hw.config import HARDWARE
from sim.runner import run_bench

CONFIG = replace(HARDWARE["small"], name="attention", query_depth=2**COUNT_BITS)


def test_masks_are_those_of_the_integer_model():
    result = run_bench(AttentionUnit(config=CONFIG), "sim.benches.attention", parameters=asdict(CONFIG))
    assert set(result.tests) == {"random_maps", "thresholds", "largest_map", "back_to_back", "reset_in_flight"}


def test_latency_is_an_attribute():
    assert AttentionUnit(config=CONFIG).latency == 2 + 2 * CONFIG.timesteps
