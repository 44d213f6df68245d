"""The SoC boots its firmware, speaks the protocol on its serial line, and a break gets hold of it."""

import random

import pytest

import firmware
from firmware.link import Identity, Link
from hw.soc.registers import REGISTERS
from hw.soc.system import FIRMWARE_BYTES, build_hash
from hw.synth.foreign import PackagedModule, foreign_rtlil
from scripts.firmware import build, stack_bound
from sim.board import HERTZ, BoardLine
from sim.native import NativeModel
from tests.firmware.garbage import garbage
from tests.hw.soc.board import CONFIG, MEMORY_BYTES, board

LINKED = 8192
"""Bytes that the firmware is linked for."""


@pytest.fixture(scope="module")
def model():
    with NativeModel(board()) as running:
        yield running


@pytest.fixture
def line(model):
    model.reset()
    yield BoardLine(model)
    assert not model.get("trap")


@pytest.fixture
def link(line):
    return Link(line)


def test_the_firmware_in_the_project_is_the_one_that_is_built():
    image, sizes = build()
    assert image == firmware.IMAGE.read_bytes(), "run `python -m scripts.firmware`"
    # Limits to notice by: what grows past them comes near the end of the memory soon.
    assert sizes.code <= 5 * 1024
    assert sizes.data + sizes.zeroed <= 512
    assert 256 <= sizes.stack <= 1536
    assert sizes.code + sizes.data + sizes.zeroed + sizes.stack < LINKED * 3 // 4 < FIRMWARE_BYTES


def test_frames_are_found_in_an_image():
    frame, back, other = 0xFE010113, 0x02010113, 0xFFF50513  # addi sp, sp, -32; addi sp, sp, 32; addi a0, a0, -1
    assert stack_bound(b"".join(word.to_bytes(4, "little") for word in (frame, other, back, frame))) == 64
    with pytest.raises(ValueError, match="larger than 2 KiB"):
        stack_bound(0x00510133.to_bytes(4, "little"))  # add sp, sp, t0


def test_it_says_what_it_is(link):
    shape = CONFIG.lanes | CONFIG.timesteps << 11 | CONFIG.beat_channels << 16 | CONFIG.bus_bytes << 26
    version = REGISTERS[1].fields[0].reset
    assert link.hello() == Identity(
        protocol=1,
        ident=int.from_bytes(b"SAF1", "big"),
        version=version,
        build=build_hash(CONFIG),
        shape=shape,
        hertz=HERTZ,
        memory_bytes=MEMORY_BYTES,
        broken_words=0,
    )


def test_memory_is_written_and_read(link):
    content = random.Random(1).randbytes(600)
    link.write(MEMORY_BYTES - 600, content)
    assert b"".join(word.to_bytes(4, "little") for word in link.read(MEMORY_BYTES - 600, 150)) == content


def test_frames_that_are_none_do_no_harm(line, link):
    """Two hundred, each followed by a request that is answered rightly."""
    rng = random.Random(3)
    for number in range(200):
        line.send(garbage(rng))
        link.write(0x100, number.to_bytes(4, "little"))
        assert link.read(0x100, 1) == [number]


def test_a_break_starts_it_again_whatever_it_does(model, line, link):
    for cycles in (100, 1_000, 5_000, 20_000):
        # A request that is on its way, or being answered.
        line.send(garbage(random.Random(cycles)))
        model.step(cycles)
        line.restart()
        assert link.hello().broken_words == 0


def test_a_core_comes_as_the_same_text_wherever_its_package_lies():
    core = PackagedModule(name="core", package="pythondata_cpu_picorv32", file="verilog/picorv32.v", module="picorv32")
    text = foreign_rtlil(core)
    assert "module \\core\n" in text
    assert "/" not in text.split("module \\core", 1)[0].split("\n", 1)[1]
