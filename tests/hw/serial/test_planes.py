from dataclasses import asdict

from hw.serial.config import SerialConfig
from hw.serial.planes import PlaneLoader
from sim.runner import run_bench


def test_words_are_the_bits_of_the_pixels():
    config = SerialConfig(side=8, timesteps=2)
    result = run_bench(PlaneLoader(config=config), "sim.benches.serial.planes", parameters=asdict(config))
    assert set(result.tests) == {"random_images", "nothing_is_taken_unless_enabled", "reset_in_flight"}
