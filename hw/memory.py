"""A memory that the program loader or a datapath fills and one unit reads."""

from amaranth import Module, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.program import ADDRESS


class SyncMemory(wiring.Component):
    """One write port and one read port.

    Parameters
    ----------
    width : bits of an entry
    depth : entries, at least 2

    Members
    -------
    write : In(stream of address and entry, always ready)
    enable : In(1), address : In, read the entry at this address ...
    data : Out, ... and have it one cycle later, until the next read

    Throughput: one write and one read a cycle. Reading an entry while it is written gives the old one.
    """

    def __init__(self, *, width: int, depth: int):
        if type(width) is not int or width < 1:
            raise TypeError(f"width must be a positive integer, not {width!r}")
        if type(depth) is not int or depth < 2:
            raise TypeError(f"depth must be an integer of at least 2, not {depth!r}")
        self.width = width
        self.depth = depth
        entry = data.StructLayout({"address": ADDRESS, "data": unsigned(width)})
        super().__init__(
            {
                "write": In(stream.Signature(entry, always_ready=True)),
                "enable": In(1),
                "address": In(range(depth)),
                "data": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.width, depth=self.depth, init=[])
        write_port, read_port = memory.write_port(), memory.read_port()
        m.d.comb += [
            write_port.addr.eq(self.write.payload.address),
            write_port.data.eq(self.write.payload.data),
            write_port.en.eq(self.write.valid),
            read_port.addr.eq(self.address),
            read_port.en.eq(self.enable),
            self.data.eq(read_port.data),
        ]
        return m
