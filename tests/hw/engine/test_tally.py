"""The counts of events."""

from dataclasses import asdict

from hw.config import HARDWARE
from hw.engine.tally import EventTally
from sim.runner import run_bench


def test_counts_are_those_of_the_definition():
    config = HARDWARE["small"]
    result = run_bench(EventTally(config=config), "sim.benches.engine.tally", parameters=asdict(config))
    assert set(result.tests) == {"random_events", "every_pattern"}
