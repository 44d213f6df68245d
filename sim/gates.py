"""The gates that synthesis makes of a component, for a simulation of them."""

import tempfile
from importlib.util import find_spec
from pathlib import Path

from amaranth.lib import wiring

from hw.synth.devices import DEVICES
from hw.synth.flow import synthesis_commands
from hw.synth.rtlil import to_rtlil
from hw.synth.tools import run_yosys

DEVICE = DEVICES["up5k"]
"""Yosys has models of all its cells that Verilator reads, block RAM included."""

MODELS = Path("share", "ice40", "cells_sim.v")
"""Where they are in the package of Yosys."""


def gate_level(component: wiring.Component, *, options: str = "") -> str:
    """Return the Verilog of a component's netlist for an iCE40, with what its cells do.

    ``options`` are those of the synthesis command. Raises SaformerError with Yosys' messages.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "design.il").write_text(to_rtlil(component))
        commands = synthesis_commands("design.il", DEVICE, options=options)
        run_yosys([*commands, "write_verilog -noattr top.v"], cwd=Path(folder))
        netlist = Path(folder, "top.v").read_text()
    return netlist + (Path(find_spec("pyosys").origin).parent / MODELS).read_text()
