"""A memory with one port, as some devices have large ones."""

from amaranth import Module, Mux, Signal
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
    granularity : bits that are written together, a divisor of the width; the width itself if not given

    Members
    -------
    enable : In(1), address : In, use the entry at this address
    write : In, entry : In, write the parts of it whose bit is set in ``write`` ...
    data : Out, ... or, where none is, have it one cycle later, for one cycle

    Throughput: one access a cycle. A reset leaves the contents.

    Raises TypeError for a size that makes no sense.
    """

    def __init__(self, *, width: int, depth: int, granularity: int | None = None):
        check_size(width=width, depth=depth)
        if granularity is not None and (type(granularity) is not int or granularity < 1 or width % granularity):
            raise TypeError(f"granularity must be a divisor of the width ({width}), not {granularity!r}")
        self.width = width
        self.depth = depth
        self.granularity = granularity or width
        super().__init__(
            {
                "enable": In(1),
                "address": In(range(depth)),
                "write": In(width // self.granularity),
                "entry": In(width),
                "data": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        memory = Memory(shape=self.width, depth=self.depth, init=[], attrs={UNDEFINED: 1})
        m.submodules.memory = memory
        read, write = memory.read_port(domain="comb"), memory.write_port(granularity=self.granularity)
        entry = Signal(self.width, reset_less=True, attrs={UNDEFINED: 1})
        m.d.comb += [
            read.addr.eq(self.address),
            write.addr.eq(self.address),
            write.data.eq(self.entry),
            write.en.eq(Mux(self.enable, self.write, 0)),
            self.data.eq(entry),
        ]
        with m.If(self.enable & ~self.write.any()):
            m.d.sync += entry.eq(read.data)
        return m
