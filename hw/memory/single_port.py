"""A memory with one port, as some devices have large ones."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.memory.memory import UNDEFINED, check_size


class SinglePort(wiring.Component):
    """One entry read or written a cycle.

    Parameters
    ----------
    width : bits of an entry
    depth : entries, at least 2

    Members
    -------
    enable : In(1), address : In, use the entry at this address
    write : In(1), entry : In, write it ...
    data : Out, ... or have it one cycle later, for one cycle

    Throughput: one access a cycle. A reset leaves the contents.
    """

    def __init__(self, *, width: int, depth: int):
        check_size(width=width, depth=depth)
        self.width = width
        self.depth = depth
        super().__init__(
            {
                "enable": In(1),
                "address": In(range(depth)),
                "write": In(1),
                "entry": In(width),
                "data": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        memory = Memory(shape=self.width, depth=self.depth, init=[], attrs={UNDEFINED: 1})
        m.submodules.memory = memory
        read, write = memory.read_port(domain="comb"), memory.write_port()
        entry = Signal(self.width, reset_less=True, attrs={UNDEFINED: 1})
        writes = self.enable & self.write
        m.d.comb += [
            read.addr.eq(self.address),
            write.addr.eq(self.address),
            write.data.eq(self.entry),
            write.en.eq(writes),
            self.data.eq(entry),
        ]
        with m.If(self.enable & ~self.write):
            m.d.sync += entry.eq(read.data)
        return m
