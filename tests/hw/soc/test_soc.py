"""The SoC boots its firmware, answers on its serial line, and a break gets hold of it."""

import numpy as np
import pytest

import firmware
from hw.config import HARDWARE
from hw.soc.registers import REGISTERS
from hw.soc.soc import FIRMWARE_BYTES, build_hash
from hw.soc.uart import Receiver
from hw.synth.foreign import ForeignModule, foreign_rtlil
from scripts.firmware import build
from sim.board import DIVISOR, SimulatedBoard
from sim.native import NativeModel

CONFIG = HARDWARE["small"]
MEMORY_BYTES = 1 << 16
IDENT = REGISTERS[0].fields[0].reset
GREETING = b"".join(word.to_bytes(4, "little") for word in (IDENT, build_hash(CONFIG), 0))
BOOT_CYCLES = 20_000


@pytest.fixture(scope="module")
def model():
    board = SimulatedBoard(config=CONFIG, memory_bytes=MEMORY_BYTES, firmware=firmware.image())
    with NativeModel(board) as running:
        yield running


def answer(model: NativeModel, cycles: int) -> bytes:
    """What the board sends in the next cycles."""
    model.clear()
    model.step(cycles)
    assert not model.get("trap")
    return bytes(model.records("from_board").values().tolist())


def test_the_firmware_in_the_project_is_the_one_that_is_built():
    content = firmware.IMAGE.read_bytes()
    assert build() == content, "run `python -m scripts.firmware`"
    assert len(content) < FIRMWARE_BYTES // 2


def test_it_boots_and_checks_its_memory(model):
    model.reset()
    assert answer(model, BOOT_CYCLES) == GREETING


def test_bytes_come_back(model):
    model.reset()
    answer(model, BOOT_CYCLES)
    sent = bytes(range(0, 256, 5))
    model.send("to_board", np.frombuffer(sent, np.uint8))
    assert answer(model, BOOT_CYCLES) == sent


def test_a_break_starts_it_again_whatever_it_does(model):
    model.reset()
    for cycles in (100, 1_000, 5_000, BOOT_CYCLES):
        model.step(cycles)
        model.set("broken", 1)
        # Twice as long as it takes: what was being sent is over then.
        model.step(2 * Receiver.break_bits * DIVISOR)
        model.set("broken", 0)
        assert answer(model, BOOT_CYCLES)[-len(GREETING) :] == GREETING


def test_a_core_comes_as_the_same_text_wherever_its_package_lies():
    core = ForeignModule(name="core", package="pythondata_cpu_picorv32", file="verilog/picorv32.v", module="picorv32")
    text = foreign_rtlil(core)
    assert "module \\core\n" in text
    assert "/" not in text.split("module \\core", 1)[0].split("\n", 1)[1]
