from dataclasses import asdict, replace

from hw.config import HARDWARE
from hw.engine.fetcher import Fetcher
from sim.runner import run_bench

CONFIG = replace(HARDWARE["small"], spike_depth=64, fifo_depth=8)


def test_words_are_those_of_the_segments():
    result = run_bench(Fetcher(config=CONFIG), "sim.benches.engine.fetcher", parameters=asdict(CONFIG))
    assert set(result.tests) == {
        "random_segments_and_stalls",
        "corners",
        "timing",
        "fills_its_fifo",
        "reset_in_the_middle",
    }
