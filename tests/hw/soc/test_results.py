from dataclasses import asdict

from hw.config import HARDWARE
from hw.soc.results import ResultQueue
from sim.runner import run_bench

CONFIG = HARDWARE["narrow"]


def test_results_wait_until_they_are_taken():
    result = run_bench(ResultQueue(config=CONFIG), "sim.benches.soc.results", parameters=asdict(CONFIG))
    assert set(result.tests) == {"results_wait_in_order", "what_has_no_room_is_told"}
