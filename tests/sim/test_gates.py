"""The netlist of the accelerator gives the bits of the integer model."""

import dataclasses
import functools

import pytest
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

import firmware
from golden.calibrate import init_model
from golden.data import fit_images, load_bundled
from golden.errors import SaformerError
from hw.accelerator import Accelerator
from hw.compile.fit import fit
from hw.config import HardwareConfig
from hw.soc.cpu import PICORV32, Core
from hw.soc.ram import BusMemory
from hw.soc.soc import FIRMWARE_BYTES
from sim.cosim import cosim
from sim.gates import gate_level
from sim.native import NativeModel
from sim.simulate import Simulator
from tests.conftest import SMALL


class CoreAlone(wiring.Component):
    """The RISC-V core with its memory, and its bus to look at."""

    foreign = (PICORV32,)

    def __init__(self):
        bus = {"address": 30, "valid": 1, "mask": 4, "data": 32, "ready": 1, "answer": 32}
        super().__init__({name: Out(width) for name, width in bus.items()})

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = Core()
        m.submodules.words = words = BusMemory(depth=FIRMWARE_BYTES // 4, init=firmware.image())
        for name in ("address", "valid", "mask", "data"):
            m.d.comb += getattr(words.bus, name).eq(getattr(core.bus, name))
        for name in ("ready", "answer"):
            m.d.comb += getattr(core.bus, name).eq(getattr(words.bus, name))
        m.d.comb += [getattr(self, name).eq(getattr(core.bus, name)) for name in self.signature.members]
        return m


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


def test_the_netlist_of_the_core_runs_the_firmware():
    """Cycle by cycle as the core in Verilog does: what it asks for, writes and gets, from the reset on."""
    design = CoreAlone()
    with NativeModel(design) as wanted, NativeModel(design, gates=gate_level(design)) as found:
        for _ in range(500):
            assert [found.get(name) for name in design.signature.members] == [
                wanted.get(name) for name in design.signature.members
            ], wanted.cycle
            wanted.step(1)
            found.step(1)
