"""A board's design as text, and the estimate of its block RAMs."""

import struct
import subprocess
from dataclasses import replace

import pytest

import firmware
from golden.errors import SaformerError
from hw.boards.catalogue import BOARDS, find_board
from hw.boards.design import append_script, core_memory, design_text, estimate_luts, load_content, memory_bytes, ram_use
from hw.config import HARDWARE
from hw.serial.config import SERIAL
from hw.synth.devices import DEVICES
from tests.hw.boards.others import ICEPI_ZERO


@pytest.mark.parametrize("name", BOARDS)
def test_boards_are_complete(name):
    board = BOARDS[name]
    assert board.name == name
    assert DEVICES[board.device].bitstream is not None
    if board.hardware in SERIAL:
        assert board.memory_bytes == memory_bytes(board, SERIAL[board.hardware])
    else:
        assert board.memory_bytes % HARDWARE[board.hardware].bus_bytes == 0
    # The receiver stands 4 % at the end of a byte; half of it is the other end's.
    assert abs(board.hertz / board.baud / round(board.hertz / board.baud) - 1) < 0.02


def test_a_design_is_the_same_text_twice_and_has_its_pins():
    board = find_board("ulx3s-85f")
    first, second = (design_text(board, HARDWARE["small"]) for _ in range(2))
    assert first == second
    assert 'LOCATE COMP "uart_0__rx__io" SITE "M1";' in first.constraints
    assert 'LOCATE COMP "sdram_0__dq__io[15]" SITE "J17";' in first.constraints
    assert "module \\picorv32" in first.rtlil
    assert "module \\sdram_controller" in first.rtlil
    assert "/" not in "".join(line for line in first.rtlil.splitlines() if "attribute" in line)


ON_CHIP = replace(find_board("ulx3s-85f"), sdram=None, memory_bytes=192 * 1024)
"""A board with its program memory inside the chip."""


def test_block_memories_are_the_smallest_number_that_holds_a_memory():
    text = design_text(ON_CHIP, HARDWARE["small"])
    found = ram_use(text.rtlil, DEVICES["lfe5u-85f"])["block"]
    # 49,152 words of 32 bits, and 4,096 words of 32 bits.
    assert found["top.memory.words"] == 96
    assert found["top.soc.inside.firmware.words"] == 8
    assert not any("fetcher.fifo" in path for path in found)


def test_an_sdram_takes_shorter_bursts():
    with pytest.raises(SaformerError, match="too long for a memory of 2 bytes: reduce burst_words to 32"):
        design_text(find_board("ulx3s-85f"), replace(HARDWARE["paper"], burst_words=64))


def test_a_board_that_is_not_in_the_catalogue():
    text = design_text(ICEPI_ZERO, HARDWARE["little"])
    assert 'LOCATE COMP "uart_0__tx__io" SITE "K15";' in text.constraints
    assert 'LOCATE COMP "sdram_0__clk__io" SITE' in text.constraints
    assert sum(ram_use(text.rtlil, DEVICES["lfe5u-25f"])["block"].values()) < DEVICES["lfe5u-25f"].capacity["block"]
    assert estimate_luts(ICEPI_ZERO, HARDWARE["little"]) < DEVICES["lfe5u-25f"].capacity["lut"]


def test_a_board_with_the_serial_accelerator():
    board = find_board("tang-primer-20k")
    config, device = SERIAL[board.hardware], DEVICES[board.device]
    text = design_text(board, config)
    found = ram_use(text.rtlil, device)["block"]
    assert (found["top.soc.inside.store.words.memory"], found["top.soc.inside.firmware.words"]) == (12, 4)
    assert sum(found.values()) <= device.capacity["block"]
    assert estimate_luts(board, config) < device.capacity["lut"] / 4


def test_a_board_with_its_firmware_in_a_flash_chip():
    board = find_board("icebreaker")
    config, device = SERIAL[board.hardware], DEVICES[board.device]
    text = design_text(board, config)
    assert "set_io spi_flash_1x_0__cipo__io 17\n" in text.constraints
    found = ram_use(text.rtlil, device)
    assert not any("firmware" in path for path in found["block"])
    assert sum(found["block"].values()) <= device.capacity["block"]
    assert sorted(found["single_port"].values()) == [1, 1, 2]
    assert estimate_luts(board, config) < device.capacity["lut"]


def test_firmware_stands_behind_the_bitstream():
    board = find_board("icebreaker")
    content = load_content(board, bytes(100))
    assert (content[:100], set(content[100 : board.flash])) == (bytes(100), {0xFF})
    assert content[board.flash :] == struct.pack(f"<{len(firmware.image())}I", *firmware.image()).ljust(8192, b"\0")
    assert load_content(find_board("ulx3s-85f"), bytes(100)) == bytes(100)
    with pytest.raises(SaformerError, match="the bitstream has 131073 bytes, and the firmware is to be at 131072"):
        load_content(board, bytes(board.flash + 1))


def test_another_flow_puts_it_there_too(tmp_path):
    board = find_board("icebreaker")
    (tmp_path / "top.bin").write_bytes(bytes(range(100)))
    (tmp_path / "memory.bin").write_bytes(core_memory())
    script = append_script(board, bitstream="top.bin", memory="memory.bin")
    subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, check=True)
    assert (tmp_path / "top.bin").read_bytes() == load_content(board, bytes(range(100)))
    assert append_script(find_board("ulx3s-85f"), bitstream="top.bin", memory="memory.bin") == ""


def test_only_the_serial_accelerator_leaves_the_firmware_in_a_flash_chip():
    with pytest.raises(SaformerError, match="small: this board has no room for firmware beside it"):
        design_text(find_board("icebreaker"), HARDWARE["small"])
    with pytest.raises(SaformerError, match="store_depth must be a multiple of 2048 and at least twice that"):
        design_text(find_board("icebreaker"), replace(SERIAL["serial-8"], store_depth=2048))


def test_memory_must_be_whole_words():
    board = replace(ON_CHIP, memory_bytes=1001)
    with pytest.raises(SaformerError, match="its memory is no whole number of words of 4 bytes"):
        design_text(board, HARDWARE["small"])


def test_an_unknown_board():
    with pytest.raises(SaformerError, match="no board 'basys': use one of ulx3s-85f"):
        find_board("basys")
