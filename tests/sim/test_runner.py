"""The bench runner and the stream helpers."""

import pytest

from sim.runner import run_bench
from tests.sim.components import Fifo

BENCH = "tests.sim.fifo_bench"


@pytest.mark.parametrize("stall", [0.0, 0.6])
def test_bench_passes(stall):
    result = run_bench(Fifo(), BENCH, parameters={"stall": stall, "count": 300})
    assert result.tests == ("passes_items_in_order",)


def test_monitor_reports_a_dropped_valid():
    with pytest.raises(AssertionError, match="o: valid dropped before the item was taken"):
        run_bench(Fifo(fault="drops valid"), BENCH, parameters={"stall": 0.6, "count": 300})


def test_failure_names_the_test_and_the_seed():
    with pytest.raises(AssertionError, match=r"fifo_bench \(seed 7\) failed in passes_items_in_order"):
        run_bench(Fifo(fault="drops items"), BENCH, parameters={"stall": 0.0, "count": 2000}, seed=7)


def test_missing_bench_is_a_failure():
    with pytest.raises(AssertionError, match=r"tests\.sim\.no_such_bench"):
        run_bench(Fifo(), "tests.sim.no_such_bench", parameters={})


def test_internals_are_visible_on_request():
    result = run_bench(Fifo(), "tests.sim.internals_bench", internals=True)
    assert result.tests == ("sees_the_level_inside",)
