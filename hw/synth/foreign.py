"""Modules in Verilog that come from a package from PyPI, as RTLIL beside that of Amaranth's components."""

import importlib.util
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hw.synth.tools import run_yosys


@dataclass(frozen=True, kw_only=True)
class ForeignModule:
    """A Verilog module that an `amaranth.Instance` names.

    Parameters
    ----------
    name : what the instance calls it
    module : what its file calls it
    parameters : of the module, name and value
    """

    name: str
    module: str
    parameters: tuple[tuple[str, int], ...] = ()

    def verilog(self) -> str:
        """Return its file: the same text on every machine."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class PackagedModule(ForeignModule):
    """A module whose file a package carries.

    Parameters
    ----------
    package : the installed package
    file : path of the file in it
    """

    package: str
    file: str

    def verilog(self) -> str:
        return (Path(importlib.util.find_spec(self.package).origin).parent / self.file).read_text()


@cache
def foreign_rtlil(module: ForeignModule) -> str:
    """Return the RTLIL of a module, its parameters set: the same text on every machine.

    Raises SaformerError with Yosys' messages where the file is no Verilog, or has no such module.
    """
    values = " ".join(f"-chparam {name} {value}" for name, value in module.parameters)
    with tempfile.TemporaryDirectory() as folder:
        # Beside Yosys, so that no absolute path gets into the names of cells.
        Path(folder, "source.v").write_text(module.verilog())
        commands = [
            "read_verilog source.v",
            f"hierarchy -top {module.module} {values}",
            "proc",
            "delete t:$scopeinfo",
            f"rename -top {module.name}",
            "setattr -mod -unset top",
            "setattr -unset src",
            "write_rtlil -selected module.il",
        ]
        run_yosys(commands, cwd=Path(folder))
        return Path(folder, "module.il").read_text()
