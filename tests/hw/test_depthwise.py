"""The mixing unit: bench."""

from dataclasses import asdict

from hw.config import HARDWARE
from hw.depthwise import MixUnit
from sim.runner import run_bench

CONFIG = HARDWARE["small"]


def test_currents_are_those_of_the_integer_model():
    result = run_bench(MixUnit(config=CONFIG), "sim.benches.depthwise", parameters=asdict(CONFIG))
    assert set(result.tests) == {"random_layers", "corners", "idle", "reset_in_flight"}
