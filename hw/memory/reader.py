"""A region of external memory as a stream: read once, from its first word to its last, ahead of who takes it."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import HardwareConfig
from hw.memory.axi import ADDRESS_BITS, INCR, read_signature
from hw.memory.skid import SkidBuffer

PAGE_BYTES = 4096
"""A burst may not cross such a boundary (ARM IHI 0022, A3.4.1)."""


class BurstReader(wiring.Component):
    """Reads ``words`` bus words from ``base`` on, in bursts.

    A burst has ``burst_words`` words, or what the region or its page leaves of it. It is requested when the FIFO has
    room for all of it, beside what was requested before::

        requested by the bus | in the FIFO | free
        <--------- burst_words * outstanding -------->

    So a word never waits on the bus, whatever becomes of the stream, and up to ``outstanding`` full bursts are on their
    way at a time: more of them, or longer ones, hide a longer latency.

    Members
    -------
    start : In(1), begin; ends what was being read, whose words must all have been taken
    base : In(32), byte address of the region, a multiple of the bus width; looked at with ``start``
    words : In(32), its bus words; looked at with ``start``
    bus : Out(`hw.memory.axi.read_signature`)
    o : Out(stream of ``8 * bus_bytes`` bits), the words in order
    arrived : Out(1), a word has come over the bus
    error : Out(1), the memory has refused a word since ``start``

    **Latency**: three cycles from ``start`` to the first request, three from a word on the bus to the stream.
    **Throughput**: one word a cycle in bursts of at least two words, if the memory answers them back to back.
    """

    def __init__(self, *, config: HardwareConfig):
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "base": In(ADDRESS_BITS),
                "words": In(ADDRESS_BITS),
                "bus": Out(read_signature(config.bus_bytes)),
                "o": Out(stream.Signature(8 * config.bus_bytes)),
                "arrived": Out(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bus = self.bus
        depth = self._config.burst_words * self._config.outstanding
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=8 * self._config.bus_bytes, depth=depth)
        # Block RAM is slow enough without those who look at its word.
        m.submodules.leaving = leaving = SkidBuffer(shape=8 * self._config.bus_bytes)
        m.d.comb += [
            fifo.w_data.eq(bus.rdata),
            fifo.w_en.eq(bus.rvalid),
            bus.rready.eq(1),
            self.arrived.eq(bus.rvalid),
            leaving.i.payload.eq(fifo.r_data),
            leaving.i.valid.eq(fifo.r_rdy),
            fifo.r_en.eq(leaving.i.ready),
        ]
        connect(m, leaving.o, flipped(self.o))
        self._request(m, depth=depth, taken=self.o.valid & self.o.ready)
        with m.If(bus.rvalid & (bus.rresp != 0)):
            m.d.sync += self.error.eq(1)
        with m.If(self.start):
            m.d.sync += self.error.eq(0)
        return m

    def _request(self, m, *, depth, taken):
        """Send the addresses of all bursts; ``taken`` says that a word has left the FIFO."""
        bus, step = self.bus, self._config.bus_bytes.bit_length() - 1
        page = PAGE_BYTES // self._config.bus_bytes
        left, free = Signal(ADDRESS_BITS), Signal(range(depth + 1), init=depth)
        length, planned = Signal(range(self._config.burst_words + 1)), Signal()
        in_page, asked = Signal(range(page + 1)), Signal()
        longest = Mux(left < self._config.burst_words, left, self._config.burst_words)
        m.d.comb += [
            in_page.eq(page - bus.araddr[step:][: page.bit_length() - 1]),
            bus.arlen.eq(length - 1),
            bus.arsize.eq(step),
            bus.arburst.eq(INCR),
            asked.eq(bus.arvalid & bus.arready),
        ]
        # A cycle to find the length of a burst; then it is offered as soon as it has room, which nothing takes away.
        with m.If(~planned):
            m.d.sync += [length.eq(Mux(in_page < longest, in_page, longest)), planned.eq(left != 0)]
        with m.Elif(asked):
            m.d.sync += [
                bus.araddr.eq(bus.araddr + (length << step)),
                left.eq(left - length),
                bus.arvalid.eq(0),
                planned.eq(0),
            ]
        with m.Else():
            m.d.sync += bus.arvalid.eq(bus.arvalid | (free >= length))
        # A place is free a cycle later than it is: the taker is far away.
        freed = Signal()
        m.d.sync += [freed.eq(taken), free.eq(free - Mux(asked, length, 0) + freed)]
        with m.If(self.start):
            m.d.sync += [bus.araddr.eq(self.base), left.eq(self.words), bus.arvalid.eq(0), planned.eq(0)]
