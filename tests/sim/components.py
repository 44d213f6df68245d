"""Small components for the tests of the simulation."""

from amaranth import Const, Module, Signal, signed
from amaranth.lib import data, fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out


class Fifo(wiring.Component):
    """A two-deep FIFO; ``fault`` makes it drop ``valid`` every eighth cycle, or drop items with payload 255.

    Members: i, o : the streams; level : items inside.
    """

    def __init__(self, *, fault: str | None = None):
        self.fault = fault
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8)), "level": Out(2)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = inner = fifo.SyncFIFO(width=8, depth=2)
        count = Signal(3)
        m.d.sync += count.eq(count + 1)
        hidden = (count == 0) if self.fault == "drops valid" else Const(0)
        lost = (self.i.payload == 255) if self.fault == "drops items" else Const(0)
        m.d.comb += [
            inner.w_data.eq(self.i.payload),
            inner.w_en.eq(self.i.valid & ~lost),
            self.i.ready.eq(inner.w_rdy),
            self.o.payload.eq(inner.r_data),
            self.o.valid.eq(inner.r_rdy & ~hidden),
            inner.r_en.eq(self.o.ready & ~hidden),
            self.level.eq(inner.level),
        ]
        return m


class Reporter(wiring.Component):
    """Takes ``count`` bytes after ``start`` and reports each with its number; ``wide`` payloads in both directions.

    Members: i : bytes; wide : words of 70 bits, echoed one cycle later; report : {number, pair of signed values};
    offset : added to every byte; total : sum of the bytes; done : pulse at the end.
    """

    REPORT = data.StructLayout({"number": 8, "pair": data.ArrayLayout(signed(20), 2), "flag": 1})

    def __init__(self, *, count: int):
        self.count = count
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "wide": In(stream.Signature(70)),
                "echo": Out(stream.Signature(70)),
                "report": Out(stream.Signature(self.REPORT, always_ready=True)),
                "start": In(1),
                "offset": In(40),
                "total": Out(40),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        number, active = Signal(8), Signal()
        m.submodules.history = history = memory.Memory(shape=8, depth=16, init=[])
        write, read = history.write_port(), history.read_port(domain="comb")
        taken = self.i.valid & self.i.ready
        last = number == self.count - 1
        m.d.comb += [
            self.i.ready.eq(active),
            self.report.valid.eq(taken),
            self.report.payload.number.eq(number),
            self.report.payload.pair[0].eq(self.i.payload),
            self.report.payload.pair[1].eq(-self.i.payload),
            self.report.payload.flag.eq(read.data[0]),
            self.done.eq(taken & last),
            self.echo.payload.eq(self.wide.payload),
            self.echo.valid.eq(self.wide.valid),
            self.wide.ready.eq(self.echo.ready),
            [write.addr.eq(number), write.data.eq(self.i.payload), write.en.eq(taken), read.addr.eq(0)],
        ]
        with m.If(self.start):
            m.d.sync += [active.eq(1), number.eq(0), self.total.eq(0)]
        with m.Elif(taken):
            m.d.sync += [
                active.eq(~last),
                number.eq(number + 1),
                self.total.eq(self.total + self.i.payload + self.offset),
            ]
        return m


class BurstReader(wiring.Component):
    """Asks for bursts of ``length`` words of 4 bytes, one behind the other, and takes every word at once.

    Members: count : bursts to ask for in all, and the pins of an AXI bus.
    """

    def __init__(self, *, length: int):
        self.length = length
        request = {"arid": 1, "araddr": 16, "arlen": 8, "arsize": 3, "arburst": 2, "arvalid": 1}
        answer = {"rid": 1, "rdata": 32, "rresp": 2, "rlast": 1, "rvalid": 1}
        super().__init__(
            {f"bus_{name}": Out(width) for name, width in (request | {"rready": 1}).items()}
            | {f"bus_{name}": In(width) for name, width in (answer | {"arready": 1}).items()}
            | {"count": In(8)}
        )

    def elaborate(self, platform):
        m = Module()
        done = Signal(8)
        m.d.comb += [
            self.bus_arvalid.eq(done != self.count),
            self.bus_arlen.eq(self.length - 1),
            self.bus_arsize.eq(2),
            self.bus_arburst.eq(1),
            self.bus_rready.eq(1),
        ]
        with m.If(self.bus_arvalid & self.bus_arready):
            m.d.sync += [done.eq(done + 1), self.bus_araddr.eq(self.bus_araddr + 4 * self.length)]
        return m
