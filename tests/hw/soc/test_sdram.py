"""Program memory in an SDRAM: bench with a chip that checks what it is told, and the bench of that chip."""

from dataclasses import asdict

import pytest

from hw.config import HARDWARE
from hw.soc.litedram import Controller, Sdram
from sim.runner import run_bench
from sim.sdram import SdramChip, SimulatedSdram

CHIP = Sdram(chip="MT48LC16M16")
WORDS = 1 << 13


@pytest.mark.parametrize("hertz", [50_000_000, 75_000_000])
def test_words_come_back_and_the_chip_has_no_complaint(hertz):
    config = HARDWARE["default"]
    memory = SimulatedSdram(config=config, sdram=CHIP, hertz=hertz, words=WORDS)
    result = run_bench(memory, "sim.benches.soc.sdram", parameters={"words": WORDS, "hardware": asdict(config)})
    assert set(result.tests) == {
        "words_come_back",
        "reads_beside_writes",
        "requests_wait_for_the_start",
        "streaming",
        "reset_in_the_middle",
    }


def test_the_chip_complains():
    # At 100 MHz every one of its times is more than a cycle.
    chip = SdramChip(sdram=CHIP, hertz=100_000_000, words=WORDS)
    result = run_bench(chip, "sim.benches.soc.sdram_chip", parameters={"hertz": 100_000_000})
    assert set(result.tests) == {"words_come_after_the_latency", "complaints", "before_it_is_ready"}


def test_size_of_a_chip():
    assert CHIP.size == 32 << 20


def test_the_controller_is_the_same_text_twice():
    first, second = (Controller(name="a", module="b", sdram=CHIP, hertz=50_000_000).verilog() for _ in range(2))
    assert first == second
    assert first.lstrip().startswith("`timescale")
    assert "module b (" in first
    assert "/" + "/" not in first
