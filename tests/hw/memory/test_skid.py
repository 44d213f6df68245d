from hw.memory.skid import SkidBuffer
from sim.runner import run_bench

WIDTH = 11


def test_payloads_pass_in_order_and_no_path_does():
    result = run_bench(SkidBuffer(shape=WIDTH), "sim.benches.memory.skid", parameters={"width": WIDTH})
    assert set(result.tests) == {"random_stalls", "timing", "no_path_through", "reset_in_the_middle"}
