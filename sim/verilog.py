"""Amaranth components to Verilog."""

import hashlib
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from amaranth.hdl import ShapeLike
from amaranth.lib import wiring

from golden.errors import SaformerError
from golden.files import write_atomically
from hw.synth.flow import write_verilog
from hw.synth.rtlil import member_signals, to_rtlil
from hw.synth.tools import cache_dir

_ROOT = Path(__file__).parents[1]
_SOURCES = ("hw/**/*.py", "golden/*.py", "sim/verilog.py")
"""The files that decide what a component of ``hw`` is converted to."""


@dataclass(frozen=True, kw_only=True)
class Port:
    """One port of a component.

    ``shape`` is what the signature says (a layout for structured payloads), ``width`` its bits.
    """

    name: str
    width: int
    shape: ShapeLike
    is_input: bool


def component_ports(component: wiring.Component) -> dict[str, Port]:
    """Return the ports of a component by their name in the Verilog, ``member__payload`` for a stream.

    Constant members (the ``ready`` of a stream without back-pressure) are no ports; the clock and the reset are not
    members.
    """
    return {
        name: Port(name=name, width=len(value), shape=member.shape, is_input=member.flow == wiring.In)
        for name, (member, value) in member_signals(component).items()
    }


def to_verilog(component: wiring.Component) -> str:
    """Return the Verilog of a component as module ``top``: the same text for the same design, on every machine.

    Raises SaformerError when Yosys does not write it.
    """
    try:
        return write_verilog(to_rtlil(component))
    except SaformerError as error:
        raise SaformerError(f"Yosys wrote no Verilog for {type(component).__name__}: {error}") from error


def cached_verilog(component: wiring.Component, *, identity: str) -> str:
    """Return the Verilog of a component of ``hw``, from the cache if its sources have not changed since.

    ``identity`` names everything else that the design depends on, usually ``repr`` of its configuration. The cache
    does not see a design that was altered in memory: convert that with `to_verilog`.
    """
    digest = hashlib.sha256(f"{type(component)} {identity} {version('amaranth')} {version('pyosys')}".encode())
    for path in sorted(path for pattern in _SOURCES for path in _ROOT.glob(pattern)):
        digest.update(path.read_bytes())
    cached = cache_dir() / "verilog" / f"{digest.hexdigest()[:24]}.v"
    if not cached.exists():
        text = to_verilog(component)
        os.makedirs(cached.parent, exist_ok=True)
        write_atomically(cached, lambda file: file.write(text.encode()))
    return cached.read_text()
