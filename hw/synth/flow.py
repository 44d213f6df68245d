"""Synthesis and routing, cached: RTLIL to a netlist to a report."""

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from hw.synth.devices import PINS_FILE, Device
from hw.synth.tools import cached_folder, run_tool, run_yosys

TOP = "top"
"""The module that is synthesised as a whole."""

_MAPPED = re.compile(r"^mapping memory (\S+) via (\S+)$|^using FF mapping for memory (\S+)$", re.MULTILINE)
_PLACING = re.compile(r"at iteration #(\d+), type ALL")
_ROUTING = re.compile(r"\biter=(\d+) wires=\d+ overused=(\d+)")


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """A synthesised module.

    Members
    -------
    cells : number of cells of each type
    memories : what Yosys made of each memory, by its path: the cell that it was mapped to, or ``registers``
    path : the netlist as JSON
    """

    cells: dict[str, int]
    memories: dict[str, str]
    path: Path


@lru_cache(maxsize=1)
def hierarchy(rtlil: str) -> dict[str, dict[str, str]]:
    """Return the modules that every module instantiates: {module: {instance: module}}."""
    return {
        name: {instance: module for module, instance in re.findall(r"^  cell \\(\S+) \\(\S+)$", text, re.MULTILINE)}
        for name, text in _modules(rtlil).items()
    }


def memory_depths(rtlil: str, top: str) -> dict[str, int]:
    """Return the entries of every memory below a module, by the path that it has in the netlist."""
    modules, inside = _modules(rtlil), hierarchy(rtlil)

    def below(name: str, path: str) -> dict[str, int]:
        found = {
            f"{path}.{memory}": int(size)
            for size, memory in re.findall(r"^  memory width \d+ size (\d+) \\(\S+)$", modules[name], re.MULTILINE)
        }
        for instance, module in inside[name].items():
            if module in modules:
                found |= below(module, f"{path}.{instance}")
        return found

    return below(top, TOP)


def closure(rtlil: str, top: str) -> str:
    """Return the RTLIL of a module and of those inside it alone, which does not change with the others."""
    modules, inside = _modules(rtlil), hierarchy(rtlil)
    wanted, found = [top], []
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.append(name)
            wanted += [child for child in inside[name].values() if child in modules]
    return "".join(modules[name] for name in sorted(found))


def synthesis_commands(file: str, device: Device, *, top: str = TOP, options: str = "") -> list[str]:
    """Return the Yosys commands that turn a module of an RTLIL file into a netlist for a device, as module ``top``."""
    return [
        f"read_rtlil {file}",
        f"hierarchy -top {top}",
        f"rename -top {TOP}",
        "proc",
        # With two names for some bits of a port, mapping (abc9) ends in an assertion of this Yosys.
        "opt_clean -purge",
        f"{device.synthesis} {options} -top {TOP}",
    ]


def synthesise(rtlil: str, device: Device, *, top: str = TOP, options: str = "") -> Netlist:
    """Return the netlist of a module for a device.

    ``options`` are further options of the synthesis command. Raises SaformerError with Yosys' messages.
    """
    text = closure(rtlil, top)
    tools = {"synthesis": device.synthesis, "options": options, "top": top, "pyosys": version("pyosys")}
    key = _key(text, json.dumps(tools))

    def work(folder: Path) -> None:
        (folder / "design.il").write_text(text)
        commands = synthesis_commands("design.il", device, top=top, options=f"{options} -json netlist.json")
        log = run_yosys([*commands, "tee -q -o cells.json stat -json"], cwd=folder)
        cells = json.loads((folder / "cells.json").read_text())["modules"][f"\\{TOP}"]["num_cells_by_type"]
        memories = {mapped or kept: cell or "registers" for mapped, cell, kept in _MAPPED.findall(log)}
        (folder / "figures.json").write_text(json.dumps({"cells": cells, "memories": memories}))

    folder = cached_folder("netlists", key, work, keep=("figures.json", "netlist.json"))
    return Netlist(path=folder / "netlist.json", **json.loads((folder / "figures.json").read_text()))


def place_and_route(
    netlist: Netlist,
    device: Device,
    *,
    seed: int,
    megahertz: float,
    watch: Callable[[str], object] = lambda stage: None,
) -> dict:
    """Return nextpnr's report (``fmax``, ``utilization``, ``critical_paths``) of a netlist.

    ``megahertz`` is what it aims at, and ``watch`` is told how far it is. Raises SaformerError when the design does not
    fit, with nextpnr's messages.
    """
    package = device.router
    options = [*device.options, "--freq", str(megahertz), "--seed", str(seed), "--timing-allow-fail"]
    key = _key(netlist.path.read_text(), json.dumps([package, version(package), options]))

    def work(folder: Path) -> None:
        # The tool does not see every absolute path, and none that a link leads to.
        shutil.copyfile(netlist.path, folder / "netlist.json")
        (folder / PINS_FILE).write_text("".join(f'IO_LOC "{port}" {pin};\n' for port, pin in device.pins.items()))
        command = Path(sys.executable).with_name(package)
        files = ("--json", "netlist.json", "--report", "report.json")
        run_tool([command, *options, *files], cwd=folder, watch=lambda line: _tell_stage(line, watch))

    folder = cached_folder("routed", key, work, keep=("report.json",))
    return json.loads((folder / "report.json").read_text())


def _tell_stage(line: str, watch: Callable[[str], object]) -> None:
    """Say how far nextpnr is when a line of its output tells."""
    if match := _PLACING.search(line):
        watch(f"placement {match[1]}")
    elif match := _ROUTING.search(line):
        watch(f"routing {match[1]}, {int(match[2]):,} wires to move")


@lru_cache(maxsize=1)
def _modules(rtlil: str) -> dict[str, str]:
    """Return the text of every module; the last design is kept, because every one of its components asks."""
    blocks = re.split(r"^(?=(?:attribute .*\n)*module )", rtlil, flags=re.MULTILINE)
    modules = {}
    for block in blocks:
        if match := re.search(r"^module \\(\S+)$", block, re.MULTILINE):
            modules[match[1]] = block
    return modules


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
