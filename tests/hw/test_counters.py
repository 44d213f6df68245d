"""The counter bank: bench, and what the constructor refuses."""

import pytest

from hw.counters import Counter, CounterBank
from sim.runner import run_bench


def test_counts_are_sums_of_the_increments():
    widths = {Counter.SOPS: 34, Counter.HITS: 5}
    parameters = {"widths": {counter.name: width for counter, width in widths.items()}}
    result = run_bench(CounterBank(widths=widths), "sim.benches.counters", parameters=parameters)
    assert set(result.tests) == {"counts_layer_after_layer", "every_increment_at_its_largest", "reset_in_a_report"}


@pytest.mark.parametrize("width", [0, -1, 2.0, "4", True])
def test_wrong_widths(width):
    with pytest.raises(TypeError, match=f"the width of HITS must be a positive integer, not {width!r}"):
        CounterBank(widths={Counter.HITS: width})
