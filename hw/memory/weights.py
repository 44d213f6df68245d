"""Weights from external memory: read once, in the order of use, into the ring of the weight buffer."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import fill_layout
from hw.config import HardwareConfig
from hw.memory.axi import ADDRESS_BITS, INCR, read_signature
from hw.program import ADDRESS

PAGE_BYTES = 4096
"""A burst may not cross such a boundary (ARM IHI 0022, A3.4.1)."""


class WeightReader(wiring.Component):
    """Reads the weight image of an inference from first to last byte, as far ahead as the ring has room.

    Rows are stored one after the other, ``lanes`` bytes each, from ``base`` on. A burst is a row, or what a page leaves
    of it. It is requested when the ring has room for it, so that data never waits; requests do not wait for the data of
    those before.

    Members
    -------
    start : In(1), an inference begins: go to row 0; only when not ``busy``
    rows : In, rows of the image; looked at with ``start``
    base : In(32), byte address of the image, a multiple of the bus width; held
    bus : Out(`hw.memory.axi.read_signature`)
    fill : Out(stream of `hw.beats.fill_layout`, always ready), the words of all rows in order
    rows_ready : Out, the rows before this one are in the buffer
    release : In(1), release_rows : In, so many more rows may be overwritten
    words : Out(1), a word has arrived
    error : Out(1), the memory has refused a word since ``start``
    busy : Out(1), words are still to come

    Latency: one cycle from ``start`` to the first request, two from a word to the row it completes.
    Throughput: one word a cycle, if the memory answers bursts back to back.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "rows": In(ADDRESS),
                "base": In(ADDRESS_BITS),
                "bus": Out(read_signature(config)),
                "fill": Out(stream.Signature(fill_layout(config), always_ready=True)),
                "rows_ready": Out(ADDRESS),
                "release": In(1),
                "release_rows": In(ADDRESS),
                "words": Out(1),
                "error": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        end = self._request(m)
        self._receive(m, end)
        return m

    def _request(self, m):
        """Send the addresses of all rows, while the ring has room; return the number of rows."""
        config, bus = self.config, self.bus
        step = config.bus_bytes.bit_length() - 1
        page = PAGE_BYTES // config.bus_bytes
        # A later image may be longer: its rows are not those of the inference that has begun.
        requested, released, end = Signal(ADDRESS), Signal(ADDRESS), Signal(ADDRESS)
        left = Signal(range(config.row_words + 1), init=config.row_words)  # words of the row
        room, more, length = Signal(), Signal(), Signal(9)
        in_page = Signal(range(page + 1))
        m.d.comb += [
            in_page.eq(page - bus.araddr[step:][: page.bit_length() - 1]),
            length.eq(Mux(in_page < left, in_page, left)),
            bus.arlen.eq(length - 1),
            bus.arsize.eq(step),
            bus.arburst.eq(INCR),
            bus.arvalid.eq(more & room),
        ]
        # The ring may only gain room between the two looks, so that a request that is shown stays.
        m.d.sync += [
            room.eq((requested - released)[: ADDRESS.width] < config.weight_depth),
            more.eq(requested != end),
        ]
        with m.If(self.release):
            m.d.sync += released.eq(released + self.release_rows)
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [
                bus.araddr.eq(bus.araddr + (length << step)),
                left.eq(left - length),
            ]
            with m.If(length == left):
                m.d.sync += [
                    left.eq(config.row_words),
                    requested.eq(requested + 1),
                    room.eq(0),
                    more.eq(0),
                ]
        with m.If(self.start):
            m.d.sync += [
                bus.araddr.eq(self.base),
                requested.eq(0),
                released.eq(0),
                end.eq(self.rows),
                left.eq(config.row_words),
                room.eq(0),
                more.eq(0),
            ]
        return end

    def _receive(self, m, end):
        """Hand the words on, and count the rows."""
        bus, fill = self.bus, self.fill.payload
        received, word = Signal(ADDRESS), Signal.like(fill.word)
        last = word == self.config.row_words - 1
        m.d.comb += [
            bus.rready.eq(1),
            self.words.eq(bus.rvalid),
            self.busy.eq(received != end),
        ]
        m.d.sync += [self.fill.valid.eq(bus.rvalid), self.rows_ready.eq(received)]
        with m.If(bus.rvalid):
            m.d.sync += [
                fill.data.eq(bus.rdata),
                fill.row.eq(received),
                fill.word.eq(word),
                word.eq(Mux(last, 0, word + 1)),
                received.eq(received + last),
                self.error.eq(self.error | (bus.rresp != 0)),
            ]
        with m.If(self.start):
            m.d.sync += [
                received.eq(0),
                word.eq(0),
                self.rows_ready.eq(0),
                self.error.eq(0),
            ]
