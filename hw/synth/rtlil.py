"""Amaranth components as RTLIL, the language that Yosys reads."""

from amaranth.back import rtlil
from amaranth.hdl import Const, Value
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring

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
    text = rtlil.convert(component, name="top", ports=ports, emit_src=False)
    return text + "".join(foreign_rtlil(module) for module in getattr(component, "foreign", ()))
