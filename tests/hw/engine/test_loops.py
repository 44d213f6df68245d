from hw.engine.loops import LoopNest
from sim.runner import run_bench


def test_addresses_are_those_of_nested_loops():
    result = run_bench(LoopNest(), "sim.benches.engine.loops")
    assert set(result.tests) == {"random_loops", "corners", "reset_in_the_middle"}
