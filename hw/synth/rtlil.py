"""Amaranth components as RTLIL, the language that Yosys reads."""

from collections.abc import Mapping
from unittest.mock import patch

from amaranth.back import rtlil
from amaranth.build import Platform
from amaranth.hdl import Const, Elaboratable, Fragment, Value
from amaranth.hdl._ast import SignalDict
from amaranth.hdl._ir import PortDirection, build_netlist
from amaranth.lib import wiring

from hw.memory.memory import UNDEFINED
from hw.synth.foreign import foreign_rtlil


def member_signals(component: wiring.Component) -> dict[str, tuple[wiring.Member, Value]]:
    """Return the members of a component's signature that are signals, flattened, by port name.

    The port of a member is its path, ``member__payload`` for a stream. Constant members (the ``ready`` of a stream
    without back-pressure) are no ports; the clock and the reset are not members.
    """
    signals = {}
    for path, member, value in component.signature.flatten(component):
        cast = Value.cast(value)
        if not isinstance(cast, Const):
            signals["__".join(map(str, path))] = (member, cast)
    return signals


def to_rtlil(component: wiring.Component, *, without: tuple[str, ...] = ()) -> str:
    """Return the RTLIL of a component as module ``top``: the same text for the same design, on every machine.

    Ports whose names begin with one of ``without`` are left out; what only they show disappears in synthesis. The
    modules in the component's ``foreign``, if it has such an attribute, stand beside its own
    (`hw.synth.foreign.ForeignModule`).
    """
    # Amaranth collects these ports itself only for a component without constant members.
    ports = {
        name: (value, PortDirection.Input if member.flow == wiring.In else PortDirection.Output)
        for name, (member, value) in member_signals(component).items()
        if not name.startswith(without)
    }
    text = _convert(component, ports)
    return text + "".join(foreign_rtlil(module) for module in getattr(component, "foreign", ()))


class _Emitter(rtlil.ModuleEmitter):
    """Writes a memory of zeros at once, as the same text: bit by bit, large memories would take most of the time.

    What is marked as `UNDEFINED` gets no initial value: Amaranth itself has one for everything, and some memories none.
    """

    def collect_init_attrs(self):
        super().collect_init_attrs()
        for attributes in self.value_attrs.values():
            if UNDEFINED in attributes:
                del attributes["init"]

    def emit_memory(self, cell_idx, cell):
        if UNDEFINED in cell.attributes:
            return
        if any(cell.init):
            super().emit_memory(cell_idx, cell)
            return
        bits = cell.width * cell.depth
        self.builder.cell(
            "$meminit_v2",
            ports={
                "ADDR": self.sigspec(),
                "DATA": f"{bits}'{'0' * bits}",
                "EN": f"{cell.width}'{'1' * cell.width}",
            },
            parameters={
                "MEMID": self.memories[cell_idx].memid,
                "ABITS": 0,
                "WIDTH": cell.width,
                "WORDS": cell.depth,
                "PRIORITY": 0,
            },
        )


def prepare(platform: Platform, design: Elaboratable, name: str) -> Mapping[str, str | bytes]:
    """Return the files that a platform makes of a design, by their names, with the emitter above.

    The same text for the same design, on every machine.
    """
    # A platform calls Amaranth's own emitter, and has no place where another one could be named.
    with patch.object(rtlil, "ModuleEmitter", _Emitter):
        return platform.prepare(design, name, emit_src=False).files


def _convert(component: wiring.Component, ports: Mapping[str, tuple[Value, PortDirection]]) -> str:
    """Do what `amaranth.back.rtlil.convert` does, without places in the sources, with the emitter above."""
    netlist = build_netlist(Fragment.get(component, None), ports=ports, name="top")
    empty, names = rtlil.EmptyModuleChecker(netlist), SignalDict()
    design = rtlil.Design(emit_src=False)
    for number, module in enumerate(netlist.modules):
        if not empty.is_empty(number):
            builder = design.module(".".join(module.name))
            if number == 0:
                builder.attribute("top", 1)
            _Emitter(builder, netlist, module, names, empty_checker=empty).emit()
    return str(design)
