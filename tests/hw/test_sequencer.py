"""The sequencer."""

from dataclasses import asdict

from hw.config import HARDWARE
from hw.sequencer import Sequencer
from sim.runner import run_bench


def test_layers_run_in_order():
    config = HARDWARE["small"]
    result = run_bench(Sequencer(config=config), "sim.benches.sequencer", parameters=asdict(config))
    assert set(result.tests) == {"random_programs", "reset_in_flight"}
