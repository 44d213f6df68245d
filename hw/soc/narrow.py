"""From the words of the accelerator's bus to those of a narrower memory."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.errors import SaformerError
from hw.config import HardwareConfig
from hw.memory.axi import memory_signature

LONGEST_BURST = 256
"""Most transfers of an AXI4 burst."""


class BusNarrower(wiring.Component):
    """Every word is several transfers of a narrower AXI4 memory, the lowest bytes first.

    Parameters
    ----------
    config : of which the width of the bus and its longest burst count
    bytes : width of the memory

    Members
    -------
    wide : In(`hw.memory.axi.memory_signature`) of the bus
    narrow : Out(`hw.memory.axi.memory_signature`) of the memory, which answers reads in the order of their addresses

    **Latency**: a cycle for data, none for addresses and responses. **Throughput**: reads as fast as the memory; a word
    is written in a cycle more than it has transfers.

    Raises TypeError where the memory is not narrower than the bus, SaformerError for bursts that AXI4 does not allow
    there.
    """

    def __init__(self, *, config: HardwareConfig, bytes: int):
        self._ratio, rest = divmod(config.bus_bytes, bytes)
        if rest or self._ratio < 2:
            raise TypeError(f"bytes must be a part of the {config.bus_bytes} of a word, not {bytes!r}")
        if (most := LONGEST_BURST // self._ratio) < config.burst_words:
            raise SaformerError(
                f"hardware: bursts of {config.burst_words} words of {config.bus_bytes} bytes are too long for a memory "
                f"of {bytes} bytes: reduce burst_words to {most}"
            )
        super().__init__({"wide": In(memory_signature(config.bus_bytes)), "narrow": Out(memory_signature(bytes))})

    def elaborate(self, platform):
        m = Module()
        wide, narrow, ratio = self.wide, self.narrow, self._ratio
        for channel in ("ar", "aw"):
            for name in ("burst", "id", "valid"):
                m.d.comb += getattr(narrow, channel + name).eq(getattr(wide, channel + name))
            whole = (len(wide.wstrb) - 1).bit_length()
            m.d.comb += [
                # From the start of a word on, of which AXI4 allows the address to be another byte.
                getattr(narrow, f"{channel}addr")[whole:].eq(getattr(wide, f"{channel}addr")[whole:]),
                getattr(narrow, f"{channel}size").eq((len(narrow.wstrb) - 1).bit_length()),
                getattr(narrow, f"{channel}len").eq(getattr(wide, f"{channel}len") * ratio + ratio - 1),
                getattr(wide, f"{channel}ready").eq(getattr(narrow, f"{channel}ready")),
            ]
        m.d.comb += [getattr(wide, name).eq(getattr(narrow, name)) for name in ("bresp", "bid", "bvalid")]
        m.d.comb += narrow.bready.eq(wide.bready)
        self._gather(m)
        self._spread(m)
        return m

    def _gather(self, m):
        """A word is there with its last part, and the next one's first part may come when it leaves."""
        wide, narrow = self.wide, self.narrow
        place, taken = Signal(range(self._ratio)), Signal()
        m.d.comb += [narrow.rready.eq(~wide.rvalid | wide.rready), taken.eq(narrow.rvalid & narrow.rready)]
        with m.If(narrow.rready):
            m.d.sync += wide.rvalid.eq(0)
        with m.If(taken):
            m.d.sync += [
                wide.rdata.eq(Cat(wide.rdata, narrow.rdata)[len(narrow.rdata) :]),
                wide.rlast.eq(narrow.rlast),
                wide.rid.eq(narrow.rid),
                wide.rresp.eq(Mux(place == 0, 0, wide.rresp) | narrow.rresp),
                wide.rvalid.eq(place == self._ratio - 1),
                place.eq(Mux(place == self._ratio - 1, 0, place + 1)),
            ]

    def _spread(self, m):
        """A word is sent part by part, before the next one is taken."""
        wide, narrow = self.wide, self.narrow
        data, strobes = Signal.like(wide.wdata), Signal.like(wide.wstrb)
        left, last = Signal(range(self._ratio)), Signal()
        m.d.comb += [
            wide.wready.eq(~narrow.wvalid),
            narrow.wdata.eq(data),
            narrow.wstrb.eq(strobes),
            narrow.wlast.eq(last & (left == 0)),
        ]
        with m.If(wide.wready & wide.wvalid):
            m.d.sync += [
                data.eq(wide.wdata),
                strobes.eq(wide.wstrb),
                last.eq(wide.wlast),
                left.eq(self._ratio - 1),
                narrow.wvalid.eq(1),
            ]
        with m.Elif(narrow.wvalid & narrow.wready):
            m.d.sync += [
                data.eq(data >> len(narrow.wdata)),
                strobes.eq(strobes >> len(narrow.wstrb)),
                left.eq(left - 1),
                narrow.wvalid.eq(left != 0),
            ]
