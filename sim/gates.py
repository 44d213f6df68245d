"""The gates that synthesis makes of a component, for a simulation of them."""

import re
import tempfile
from importlib.util import find_spec
from pathlib import Path

from amaranth.lib import wiring

from hw.synth.devices import Device
from hw.synth.rtlil import to_rtlil
from hw.synth.tools import run_yosys

_INCLUDE = re.compile(r'^\s*`include "([^"]+)"', re.MULTILINE)


def gate_level(component: wiring.Component, device: Device, *, options: str = "") -> str:
    """Return the Verilog of a component's netlist for a device, with what the device's cells do.

    ``options`` are those of the synthesis command. Raises SaformerError with Yosys' messages.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "design.il").write_text(to_rtlil(component))
        prepare = ["read_rtlil design.il", "hierarchy -top top", "proc", "opt_clean -purge"]
        run_yosys([*prepare, f"{device.synthesis} {options} -top top", "write_verilog -noattr top.v"], cwd=Path(folder))
        netlist = Path(folder, "top.v").read_text()
    models = Path(find_spec("pyosys").origin).parent / "share" / device.models
    return netlist + _INCLUDE.sub(lambda match: (models.parent / match[1]).read_text(), models.read_text())
