"""The counter bank: bench, and what the constructor refuses."""

import pytest

from hw.counters import CounterBank
from sim.runner import run_bench


def test_counts_are_sums_of_the_increments():
    sizes = {"increment_bits": 40}
    result = run_bench(CounterBank(**sizes), "sim.benches.counters", parameters=sizes)
    assert set(result.tests) == {"counts_layer_after_layer", "every_increment_at_its_largest", "reset_in_a_report"}


@pytest.mark.parametrize("bits", [0, -1, 2.0, "4", True])
def test_wrong_increment_bits(bits):
    with pytest.raises(TypeError, match=f"increment_bits must be a positive integer, not {bits!r}"):
        CounterBank(increment_bits=bits)
