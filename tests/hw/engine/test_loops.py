from amaranth import unsigned

from hw.engine.loops import LoopNest
from sim.runner import run_bench


def test_addresses_are_those_of_nested_loops():
    result = run_bench(LoopNest(address=unsigned(16)), "sim.benches.engine.loops", parameters={"address_bits": 16})
    assert set(result.tests) == {"random_loops", "corners", "reset_in_the_middle"}
