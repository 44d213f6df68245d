"""Synthesis and routing, cached: RTLIL to a netlist to a report."""

import hashlib
import json
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from golden.errors import SaformerError
from hw.memory.memory import UNDEFINED
from hw.synth.devices import PINS_FILE, Device
from hw.synth.tools import cached_folder, run_tool, run_yosys

TOP = "top"
"""The module that is synthesised as a whole."""

REPORT = "report.json"
"""What nextpnr reports, in the folder that it runs in."""

_MAPPED = re.compile(r"^mapping memory (\S+) via (\S+)$|^using FF mapping for memory (\S+)$", re.MULTILINE)
_MEMORY = re.compile(rf"^(  attribute \\{UNDEFINED} 1\n)?  memory width (\d+) size (\d+) \\(\S+)$", re.MULTILINE)
_VERILOG = (
    *("read_rtlil top.il", "proc -nomux -norom", "memory_collect"),
    # Where one bit of several selects, which foreign modules have, this would be a case with overlapping patterns.
    "pmuxtree",
    "write_verilog -norename -noattr top.v",
)
# A memory of zeros, word after word, as Yosys writes it.
_ZEROS = re.compile(r"  initial begin\n    (\w+)\[0\] = (\d+'h0+);\n(?:    \1\[\d+\] = \2;\n)+  end\n")
_PLACING = re.compile(r"at iteration #(\d+), type ALL")
_ROUTING = re.compile(r"\biter=(\d+) wires=\d+ overused=(\d+)")

PATIENCE, LAST_PATIENCE, LAST = 100, 500, 100
"""Rounds of the router without fewer wires to move, after which a placement is given up: with many wires left, and with
fewer than ``LAST``, where a round takes a second. Of 64 lanes with an SDRAM one placement went from 111 to 53 in 61
rounds and came to an end, another from 63 to 19 in 140, a third stood at 469; without the SDRAM one took 171 rounds for
its last wire."""


class UnroutableError(SaformerError):
    """Some wires are wanted by two nets however long the router tries; another placement may do."""


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
    return {path: size.depth for path, size in memory_sizes(rtlil, top).items()}


class MemorySize(NamedTuple):
    """Width and entries of a memory, and whether it has no value after power-up: a single-port RAM will do."""

    width: int
    depth: int
    undefined: bool


def memory_sizes(rtlil: str, top: str) -> dict[str, MemorySize]:
    """Return the sizes of every memory below a module, by the path that it has in the netlist."""
    modules, inside = _modules(rtlil), hierarchy(rtlil)

    def below(name: str, path: str) -> dict[str, MemorySize]:
        found = {
            f"{path}.{memory}": MemorySize(int(width), int(depth), bool(undefined))
            for undefined, width, depth, memory in _MEMORY.findall(modules[name])
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
    fit, with nextpnr's messages, and UnroutableError when routing does not end with this seed.
    """
    pins = "".join(f'IO_LOC "{port}" {pin};\n' for port, pin in device.pins.items())
    work = _Placement(netlist, device, seed, megahertz, options=device.alone, files={PINS_FILE: pins}, watch=watch)
    return json.loads((cached_folder("routed", work.key, work, keep=(REPORT,)) / REPORT).read_text())


def make_bitstream(
    netlist: Netlist,
    device: Device,
    *,
    constraints: str,
    package: Sequence[str],
    packing: Sequence[str],
    seed: int,
    megahertz: float,
    watch: Callable[[str], object] = lambda stage: None,
) -> tuple[dict, bytes]:
    """Return nextpnr's report of a design on the pins of a board, and the bitstream.

    ``constraints`` is the text that says where the pins are, ``package`` the options that select the device with them,
    ``packing`` further options of the command that makes the bitstream. Raises SaformerError when the design does not
    fit, with nextpnr's messages, and UnroutableError when routing does not end with this seed.
    """
    how = device.bitstream
    options = (*package, *how.options)
    route = _Placement(netlist, device, seed, megahertz, options, files={how.constraints: constraints}, watch=watch)

    def work(folder: Path) -> None:
        route(folder)
        packer, *arguments = how.packing(packing)
        run_tool([_installed(packer), *arguments], cwd=folder)

    folder = cached_folder("routed", _key(route.key, json.dumps(how.packing(packing))), work, keep=(REPORT, how.file))
    return json.loads((folder / REPORT).read_text()), (folder / how.file).read_bytes()


def write_verilog(rtlil: str) -> str:
    """Return a design as one Verilog file: the same text on every machine.

    Raises SaformerError with Yosys' messages.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "top.il").write_text(rtlil)
        run_yosys(_VERILOG, cwd=Path(folder))
        # Large memories would be nine tenths of the text, and of the time to compile it.
        return _ZEROS.sub(_loop_over_zeros, Path(folder, "top.v").read_text())


def _loop_over_zeros(found: re.Match) -> str:
    memory, zero = found.groups()
    words = found[0].count("\n") - 2
    return (
        f"  initial begin : {memory}_zeros\n    integer word;\n"
        f"    for (word = 0; word < {words}; word = word + 1) {memory}[word] = {zero};\n  end\n"
    )


def flow_script(
    device: Device, *, package: Sequence[str], packing: Sequence[str], source: str, megahertz: float
) -> str:
    """Return a shell script that makes the bitstream of a Verilog file with tools on the path."""
    how = device.bitstream
    router = [device.router, *device.options, *package, *how.options, "--freq", f"{megahertz:g}", "--json", "top.json"]
    commands = [
        ["yosys", "-p", shlex.quote(f"read_verilog {source}; {device.synthesis} -top {TOP} -json top.json")],
        [word.removeprefix("yowasp-") for word in router],
        [word.removeprefix("yowasp-") for word in how.packing(packing)],
    ]
    return "\n".join(["#!/bin/sh", "set -e", *(" ".join(command) for command in commands), ""])


class _Placement:
    """A run of nextpnr in a folder, and the key of its result."""

    def __init__(
        self,
        netlist: Netlist,
        device: Device,
        seed: int,
        megahertz: float,
        options: Sequence[str],
        files: Mapping[str, str],
        watch: Callable[[str], object],
    ):
        timing = ("--freq", str(megahertz), "--seed", str(seed), "--timing-allow-fail")
        self._netlist, self._tool, self._files, self._watch = netlist, device.router, files, watch
        self._options = [*device.options, *options, *timing]
        described = json.dumps([device.router, version(device.router), self._options, dict(files)])
        self.key = _key(netlist.path.read_text(), described)

    def __call__(self, folder: Path) -> None:
        # The tool does not see every absolute path, and none that a link leads to.
        shutil.copyfile(self._netlist.path, folder / "netlist.json")
        for name, text in self._files.items():
            (folder / name).write_text(text)
        command = [_installed(self._tool), *self._options, "--json", "netlist.json", "--report", REPORT]
        run_tool(command, cwd=folder, watch=_Stages(self._watch))


def _installed(command: str) -> Path:
    """The path of a command that comes with a package."""
    return Path(sys.executable).with_name(command)


class _Stages:
    """Says how far nextpnr is, from the lines of its output, and ends a routing that does not get on."""

    def __init__(self, watch: Callable[[str], object]):
        self._watch = watch
        self._fewest, self._reached = None, 0

    def __call__(self, line: str) -> None:
        if match := _PLACING.search(line):
            self._watch(f"placement {match[1]}")
        elif match := _ROUTING.search(line):
            self._route(int(match[1]), int(match[2]))

    def _route(self, number: int, left: int) -> None:
        self._watch(f"routing {number}, {left:,} wires to move")
        if self._fewest is None or left < self._fewest:
            self._fewest, self._reached = left, number
        patience = LAST_PATIENCE if self._fewest < LAST else PATIENCE
        if number - self._reached >= patience:
            raise UnroutableError(
                f"{patience} rounds of the router left {self._fewest:,} wires that two nets want: take another seed, "
                "or fewer lanes"
            )


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
