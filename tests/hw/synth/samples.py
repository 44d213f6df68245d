"""Small designs for the tests of synthesis."""

from amaranth import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out


class Store(wiring.Component):
    """A memory; ``style`` says where Yosys shall put it, ``registered`` whether it is read with a clock."""

    def __init__(self, *, depth: int, style: str | None = None, registered: bool = True):
        self.depth = depth
        self.style = style
        self.registered = registered
        super().__init__(
            {"address": In(range(depth)), "value": In(16), "write": In(1), "pointer": In(range(depth)), "data": Out(16)}
        )

    def elaborate(self, platform):
        m = Module()
        attributes = {"no_rw_check": 1} | ({"ram_style": self.style} if self.style else {})
        m.submodules.cells = cells = memory.Memory(shape=16, depth=self.depth, init=[], attrs=attributes)
        write, read = cells.write_port(), cells.read_port(domain="comb")
        m.d.comb += [write.addr.eq(self.address), write.data.eq(self.value), write.en.eq(self.write)]
        m.d.comb += read.addr.eq(self.pointer)
        m.d["sync" if self.registered else "comb"] += self.data.eq(read.data)
        return m


class Pair(wiring.Component):
    """A sum of sixteen bits, registered, and beside it a second one in a submodule; nobody uses the third."""

    def __init__(self):
        super().__init__({"a": In(16), "b": In(16), "total": Out(16), "doubled": Out(16), "trace_sum": Out(16)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = Adder()
        first = Signal(16)
        m.d.sync += [first.eq(self.a), self.total.eq(first + self.b), self.trace_sum.eq(self.a - self.b)]
        m.d.comb += [inner.a.eq(self.total), inner.b.eq(self.b), self.doubled.eq(inner.total)]
        return m


class Adder(wiring.Component):
    """A registered sum."""

    def __init__(self):
        super().__init__({"a": In(16), "b": In(16), "total": Out(16)})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.total.eq(self.a + self.b)
        return m
