"""Memories of the SoC: the firmware's, and one for programs where a board has none outside the chip."""

from collections.abc import Sequence

from amaranth import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2

from hw.config import HardwareConfig
from hw.memory.axi import OKAY, memory_signature
from hw.soc.bus import WORD_BITS, bus_signature


class BusMemory(wiring.Component):
    """Words on the bus of the core, with the firmware in them from the start.

    Parameters
    ----------
    depth : words, a power of two
    init : the first ones; the others are 0

    Members
    -------
    bus : In(`hw.soc.bus.bus_signature`)

    **Latency**: an answer in the cycle after the request. **Throughput**: a request in two cycles.

    Raises TypeError for a depth that is no power of two, or contents that do not fit.
    """

    def __init__(self, *, depth: int, init: Sequence[int] = ()):
        if type(depth) is not int or depth < 2 or depth & (depth - 1):
            raise TypeError(f"depth must be a power of two, not {depth!r}")
        if len(init) > depth:
            raise TypeError(f"{len(init)} words do not fit a memory of {depth}")
        self._depth, self._init = depth, list(init)
        super().__init__({"bus": In(bus_signature(ceil_log2(depth)))})

    def elaborate(self, platform):
        m = Module()
        bus = self.bus
        m.submodules.words = words = memory.Memory(shape=WORD_BITS, depth=self._depth, init=self._init)
        write, read = words.write_port(granularity=8), words.read_port()
        m.d.sync += bus.ready.eq(bus.valid & ~bus.ready)
        m.d.comb += [
            read.addr.eq(bus.address),
            bus.answer.eq(read.data),
            write.addr.eq(bus.address),
            write.data.eq(bus.data),
            write.en.eq(Mux(bus.valid & ~bus.ready, bus.mask, 0)),
        ]
        return m


class ProgramMemory(wiring.Component):
    """Memory for programs inside the chip, behind AXI4.

    A burst is read, or written, to its end before the next one is taken. It does not cross the end of the memory.

    Parameters
    ----------
    config : of which the width of the bus counts
    size : bytes, a multiple of the width of the bus

    Members
    -------
    bus : In(`hw.memory.axi.memory_signature`)

    **Latency**: two cycles from an address to its word. **Throughput**: a word a cycle in a burst, a burst in ``words +
    1`` cycles to read and ``words + 2`` to write.

    Raises TypeError for a size that is no whole number of words, or smaller than two.
    """

    def __init__(self, *, config: HardwareConfig, size: int):
        if type(size) is not int or size < 2 * config.bus_bytes or size % config.bus_bytes:
            raise TypeError(f"size must be a multiple of {config.bus_bytes} and at least twice that, not {size!r}")
        self._config, self._depth = config, size // config.bus_bytes
        super().__init__({"bus": In(memory_signature(config.bus_bytes))})

    def elaborate(self, platform):
        m = Module()
        bits = 8 * self._config.bus_bytes
        m.submodules.words = words = memory.Memory(shape=bits, depth=self._depth, init=[])
        self._read(m, words.read_port())
        self._write(m, words.write_port(granularity=8))
        return m

    def _read(self, m: Module, port):
        """Walk through the words of a burst; each waits in the port until it is taken."""
        bus, step = self.bus, self._config.bus_bytes.bit_length() - 1
        address, left, last, number = Signal(len(port.addr)), Signal(8), Signal(), Signal.like(bus.arid)
        active, moving = Signal(), Signal()
        m.d.comb += [
            moving.eq(~bus.rvalid | bus.rready),
            bus.arready.eq(~active),
            port.addr.eq(address),
            port.en.eq(active & moving),
            bus.rdata.eq(port.data),
            bus.rresp.eq(OKAY),
            bus.rlast.eq(last),
        ]
        with m.If(active & moving):
            m.d.sync += [address.eq(address + 1), left.eq(left - 1), active.eq(left != 0)]
        with m.If(moving):
            m.d.sync += [bus.rvalid.eq(active), last.eq(left == 0), bus.rid.eq(number)]
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [address.eq(bus.araddr >> step), left.eq(bus.arlen), number.eq(bus.arid), active.eq(1)]

    def _write(self, m: Module, port):
        """Write the words of a burst as they come, and say when it is done."""
        bus, step = self.bus, self._config.bus_bytes.bit_length() - 1
        address, active = Signal(len(port.addr)), Signal()
        m.d.comb += [
            bus.awready.eq(~active & ~bus.bvalid),
            bus.wready.eq(active),
            port.addr.eq(address),
            port.data.eq(bus.wdata),
            port.en.eq(Mux(bus.wvalid & active, bus.wstrb, 0)),
            bus.bresp.eq(OKAY),
        ]
        with m.If(bus.awvalid & bus.awready):
            m.d.sync += [address.eq(bus.awaddr >> step), bus.bid.eq(bus.awid), active.eq(1)]
        with m.If(bus.wvalid & active):
            m.d.sync += [address.eq(address + 1), active.eq(~bus.wlast), bus.bvalid.eq(bus.wlast)]
        with m.If(bus.bvalid & bus.bready):
            m.d.sync += bus.bvalid.eq(0)
