"""Modules in Verilog that come with a package from PyPI, as RTLIL beside that of Amaranth's components."""

import importlib.util
import shutil
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
    package : the installed package that carries the file
    file : its path in the package
    module : what the file calls it
    parameters : of the module, name and value
    """

    name: str
    package: str
    file: str
    module: str
    parameters: tuple[tuple[str, int], ...] = ()


@cache
def foreign_rtlil(module: ForeignModule) -> str:
    """Return the RTLIL of a module, its parameters set: the same text on every machine.

    Raises SaformerError with Yosys' messages where the file is no Verilog, or has no such module.
    """
    source = Path(importlib.util.find_spec(module.package).origin).parent / module.file
    values = " ".join(f"-chparam {name} {value}" for name, value in module.parameters)
    with tempfile.TemporaryDirectory() as folder:
        # Beside Yosys, so that no absolute path gets into the names of cells.
        shutil.copyfile(source, Path(folder, "source.v"))
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
