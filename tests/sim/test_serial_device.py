"""The SoC with the serial accelerator: its firmware answers bit-exact, and what is wrong is told."""

import dataclasses
import json
import random

import pytest

import firmware
from firmware.link import Link
from golden.calibrate import init_model
from golden.config import ModelConfig
from golden.data import fit_images, load_bundled
from golden.errors import SaformerError
from hw.boards.catalogue import find_board
from hw.compile.serial import lower_serial
from hw.serial.config import SERIAL
from hw.soc.serial import FIRMWARE_BYTES
from hw.soc.system import build_hash
from scripts.cli import main
from sim.board import BoardLine, SimulatedBoard
from sim.device import find_hardware
from sim.native import NativeModel
from sim.serial_device import SerialDevice
from tests.firmware.garbage import garbage
from tests.firmware.together import ANSWERS, ask_together

CONFIG, SMALL = SERIAL["serial"], SERIAL["serial-8"]


@pytest.fixture(scope="module")
def line():
    with NativeModel(SimulatedBoard(config=CONFIG, memory_bytes=0, firmware=firmware.image())) as running:
        yield BoardLine(running)
        assert not running.get("trap")


@pytest.fixture
def link(line):
    return Link(line, patience=60.0)


def sample(*, seed=1, **changes):
    shape = {"name": "sample", "dim": 8, "depth": 1, "image_size": 4, "windows": 1}
    return init_model(ModelConfig(**shape | changes), seed=seed)


@pytest.fixture(scope="module")
def flashed():
    """A board like the iCEBreaker: the firmware comes out of a flash chip into the store."""
    board = SimulatedBoard(
        config=SMALL, memory_bytes=0, firmware=firmware.image(), flash=find_board("icebreaker").flash
    )
    with NativeModel(board) as running:
        yield BoardLine(running)
        assert not running.get("trap")


def test_firmware_out_of_a_flash_chip(flashed):
    link, model = Link(flashed, patience=60.0), sample()
    identity = link.hello()
    assert (identity.memory_bytes, identity.broken_words) == (65536 - FIRMWARE_BYTES, 0)
    board = SerialDevice(link, identity, lower_serial(model, SMALL), cycles_per_second=100_000)
    assert board.run(model, images()).mismatches == ()


def test_after_a_break_it_is_copied_again_and_the_program_stays(flashed):
    link, model = Link(flashed, patience=60.0), sample()
    lowered = lower_serial(model, SMALL)
    SerialDevice(link, link.hello(), lowered, cycles_per_second=100_000)
    flashed.restart()
    sent = []
    board = SerialDevice(link, link.hello(), lowered, cycles_per_second=100_000, progress=sent.append)
    assert sent == []
    assert board.run(model, images()).mismatches == ()


def test_the_firmware_is_out_of_reach(flashed):
    link = Link(flashed, patience=60.0)
    end = link.hello().memory_bytes
    with pytest.raises(SaformerError, match="address"):
        link.write(end, bytes(4))
    with pytest.raises(SaformerError, match="address"):
        link.read(end, 1)


def images(count=1):
    return fit_images(load_bundled().images[:count], channels=3, size=4)


def device(link, model, **changes):
    identity = dataclasses.replace(link.hello(), **changes)
    return SerialDevice(link, identity, lower_serial(model, CONFIG), cycles_per_second=100_000)


@pytest.mark.parametrize("classes", [2, 10, 20])
def test_logits_and_counters_are_those_of_the_model(link, classes):
    model = sample(classes=classes, timesteps=2)
    board = device(link, model)
    runs = [board.run(model, image) for image in images(2).split(1)]
    assert [run.mismatches for run in runs] == [(), ()]


def test_a_board_that_computes_something_else_is_found(link):
    assert device(link, sample()).run(sample(seed=2), images()).mismatches


def test_frames_that_are_none_do_no_harm(line, link):
    model, rng = sample(), random.Random(5)
    board = device(link, model)
    for _ in range(20):
        line.send(garbage(rng))
        assert board.run(model, images()).mismatches == ()


def test_requests_that_come_together_are_answered_in_their_order(line):
    assert ask_together(line, patience=0.2) == ANSWERS


def test_a_program_that_does_not_fit_is_refused(link):
    with pytest.raises(SaformerError, match="the board has 4096: use a smaller model"):
        device(link, sample(), memory_bytes=4096)


def test_the_board_says_which_configuration_it_has(link):
    identity = link.hello()
    assert (identity.build, identity.memory_bytes, identity.broken_words) == (build_hash(CONFIG), 65536, 0)
    assert find_hardware(identity, None) == CONFIG


@pytest.mark.parametrize(("which", "megahertz"), [(("--hw", "serial"), 50), (("--board", "icebreaker"), 12)])
def test_the_command_runs_the_simulated_board(which, megahertz, capsys, tmp_path):
    path = tmp_path / "figures.json"
    assert main(["run", "micro", "--port", "sim", *which, "--images", "1", "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    assert "bit-exact: logits and counters of 1 images" in capsys.readouterr().out
    assert figures["bit_exact"]
    assert figures["clock_hz"] == megahertz * 1e6
    assert figures["frames_per_second"] == figures["clock_hz"] / figures["cycles_per_image"]
