"""The registers as the hardware sees them."""

from collections.abc import Sequence

from amaranth import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.soc.bus import bus_signature
from hw.soc.map import Field, Kind, Register


def port_name(register: Register, field: Field) -> str:
    """The member of a field."""
    return f"{register.name}_{field.name}".lower()


class RegisterBank(wiring.Component):
    """Registers on the bus of the core.

    The kind of a field (`hw.soc.map.Kind`) decides on which side of it the hardware is::

        firmware           bank              hardware
        read   <--- value, taken, constant <--- value
                    taken                  ---> <name>_read, in the cycle of the read
        write  ---> stored, pulse          ---> value, from the next cycle on; a pulse for one cycle
                    pushed                 ---> stream, in the cycle after the write

    Words are written whole: a write of single bytes does nothing.

    Parameters
    ----------
    registers : by rising address, from 0 on

    Members
    -------
    bus : In(`hw.soc.bus.bus_signature`)
    one member for each field, ``<register>_<field>``, but for constants

    **Latency**: a request takes two cycles. **Throughput**: a request in two cycles.
    """

    def __init__(self, *, registers: Sequence[Register]):
        self._registers = tuple(registers)
        self._address_bits = max(1, (max(register.address for register in registers) // 4).bit_length())
        members = {}
        for register in registers:
            for field in register.fields:
                members |= _members(port_name(register, field), field)
        super().__init__({"bus": In(bus_signature(self._address_bits)), **members})

    def elaborate(self, platform):
        m = Module()
        bus, here = self.bus, Signal(len(self._registers))
        answer, writing = Signal(32), Signal()
        m.d.comb += [
            writing.eq(bus.valid & ~bus.ready & bus.mask.all()),
            bus.answer.eq(answer),
        ]
        m.d.sync += [bus.ready.eq(bus.valid & ~bus.ready), answer.eq(0)]
        with m.Switch(bus.address):
            for number, register in enumerate(self._registers):
                with m.Case(register.address // 4):
                    m.d.comb += here[number].eq(1)
                    m.d.sync += [
                        answer[field.low :][: field.width].eq(self._shown(register, field)) for field in register.fields
                    ]
        for number, register in enumerate(self._registers):
            for field in register.fields:
                self._connect(m, register, field, here[number], writing)
        return m

    def _shown(self, register: Register, field: Field):
        """What a read of a field gives."""
        if field.kind is Kind.CONSTANT:
            return Const(field.reset, field.width)
        readable = field.kind in (Kind.VALUE, Kind.TAKEN, Kind.STORED)
        return getattr(self, port_name(register, field)) if readable else Const(0)

    def _connect(self, m: Module, register: Register, field: Field, here, writing):
        """Tell the hardware of reads and writes."""
        name, written = port_name(register, field), self.bus.data[field.low :][: field.width]
        if field.kind is Kind.TAKEN:
            reading = self.bus.valid & ~self.bus.ready & ~self.bus.mask.any()
            m.d.comb += getattr(self, f"{name}_read").eq(here & reading)
        elif field.kind is Kind.STORED:
            with m.If(here & writing):
                m.d.sync += getattr(self, name).eq(written)
        elif field.kind is Kind.PULSE:
            m.d.sync += getattr(self, name).eq(Mux(here & writing, written, 0))
        elif field.kind is Kind.PUSHED:
            pushed = getattr(self, name)
            m.d.sync += [pushed.valid.eq(here & writing), pushed.payload.eq(written)]


def _members(name: str, field: Field) -> dict[str, wiring.Member]:
    """The members of a field."""
    if field.kind is Kind.CONSTANT:
        return {}
    if field.kind is Kind.VALUE:
        return {name: In(field.width)}
    if field.kind is Kind.TAKEN:
        return {name: In(field.width), f"{name}_read": Out(1)}
    if field.kind is Kind.PUSHED:
        return {name: Out(stream.Signature(field.width, always_ready=True))}
    return {name: Out(field.width, init=field.reset)}
