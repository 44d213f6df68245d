from dataclasses import asdict

from hw.config import HARDWARE
from hw.soc.guard import MemoryGuard
from sim.runner import run_bench

CONFIG = HARDWARE["default"]


def test_what_a_reset_leaves_behind_is_ended():
    result = run_bench(MemoryGuard(config=CONFIG), "sim.benches.soc.guard", parameters=asdict(CONFIG))
    assert set(result.tests) == {"requests_pass", "forgotten_requests_are_ended"}
