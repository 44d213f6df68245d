from dataclasses import asdict

from hw.config import HARDWARE
from hw.engine.emitter import Emitter
from sim.runner import run_bench

CONFIG = HARDWARE["small"]


def test_events_are_the_channels_that_fire():
    result = run_bench(Emitter(config=CONFIG), "sim.benches.engine.emitter", parameters=asdict(CONFIG))
    assert set(result.tests) == {"random_words_and_stalls", "every_channel", "timing", "reset_in_the_middle"}
