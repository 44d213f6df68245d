"""The netlist of the accelerator gives the bits of the integer model, and that of the whole SoC answers."""

import dataclasses
import functools
import zlib

import pytest

import firmware
from firmware.link import Link
from golden.calibrate import init_model
from golden.data import fit_images, load_bundled
from golden.errors import SaformerError
from hw.accelerator import Accelerator
from hw.boards.catalogue import find_board
from hw.compile.fit import fit
from hw.compile.serial import lower_serial
from hw.config import HardwareConfig
from hw.serial.accelerator import SerialAccelerator
from hw.serial.config import SERIAL
from hw.soc.system import build_hash
from sim.board import BoardLine, SimulatedBoard
from sim.cosim import cosim
from sim.device import IDENT
from sim.gates import gate_level
from sim.native import NativeModel
from sim.serial import SerialSimulator, cosim_serial
from sim.simulate import Simulator
from tests.conftest import SMALL

SIZES = {"lanes": 4, "timesteps": 2, "beat_channels": 1, "word_channels": 4, "bus_bytes": 4, "fifo_depth": 8}
MODEL = init_model(dataclasses.replace(SMALL, timesteps=2, pool_stages=(3, 4), image_size=8, windows=1), seed=3)
HARDWARE = fit([MODEL], HardwareConfig(name="gates", weight_depth=128, current_bits=20, **SIZES))
OPTIONS = {"abc": "", "abc9": "-abc9"}


@functools.cache
def gates(options):
    return gate_level(Accelerator(config=HARDWARE), options=options)


def compare(netlist):
    """What differs between a netlist and the integer model, on one image."""
    images = fit_images(load_bundled().images[:1], channels=3, size=8)
    with Simulator(config=HARDWARE, gates=netlist) as engine:
        return cosim(MODEL, images, [0], config=HARDWARE, engine=engine).mismatches


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_netlist_gives_the_same_bits(options):
    assert [str(mismatch) for mismatch in compare(gates(options))] == []


def test_a_wrong_gate_is_found():
    netlist = gates("")
    # The carry of every adder is lost where it should be passed on: the first counter never gets to its end.
    wrong = netlist.replace("(I0 && I1) || ((I0 || I1) && CI)", "(I0 && I1)")
    assert wrong != netlist
    with pytest.raises(SaformerError, match="done was not set"):
        compare(wrong)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_netlist_of_the_serial_accelerator_gives_the_same_bits(options):
    config = SERIAL["serial"]
    model = init_model(dataclasses.replace(SMALL, image_size=4, windows=1), seed=3)
    netlist = gate_level(SerialAccelerator(config=config), options=options)
    simulator = SerialSimulator(lower_serial(model, config), gates=netlist)
    images = fit_images(load_bundled().images[:1], channels=3, size=4)
    (run,) = cosim_serial(model, images, config=config, simulator=simulator)
    assert run.mismatches == ()


SOCS = {
    "large": {"config": HARDWARE, "memory_bytes": 4096},
    "serial": {"config": SERIAL["serial-8"], "memory_bytes": 56 * 1024, "flash": find_board("icebreaker").flash},
}
"""SoCs: one with its memories inside, and that of the iCEBreaker, whose firmware comes out of a flash chip."""


@pytest.mark.parametrize("kind", SOCS.values(), ids=SOCS)
def test_the_netlist_of_the_soc_boots_and_answers(kind):
    board, same = (SimulatedBoard(firmware=firmware.image(), **kind) for _ in range(2))
    with NativeModel(board, gates=gate_level(same)) as running:
        link = Link(BoardLine(running), patience=1.0)
        identity = link.hello()
        assert (identity.ident, identity.build) == (IDENT, build_hash(kind["config"]))
        assert (identity.memory_bytes, identity.broken_words) == (kind["memory_bytes"], 0)
        content = bytes(range(64))
        link.write(64, content)
        assert link.check(64, len(content) // 4, patience=1.0) == zlib.crc32(content)
        assert link.read(64, 4) == [int.from_bytes(content[4 * i : 4 * i + 4], "little") for i in range(4)]
        assert not running.get("trap")
