"""The way to program memory: the core's words, and the accelerator's bursts beside them."""

from amaranth import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.config import HardwareConfig
from hw.memory.axi import ADDRESS_BITS, INCR, memory_signature, read_signature
from hw.soc.bus import WORD_BITS, bus_signature
from hw.soc.guard import ending

WORD_BYTES = WORD_BITS // 8

CORE = 1
"""Transaction ID of the core; the accelerator's is 0."""


class MemoryPort(wiring.Component):
    """One AXI4 master for two who use the memory.

    A request of the core is a burst of one word, of whose bytes it takes or writes its own. The addresses of reads
    alternate where both want to send one; the data finds its way back by the transaction ID, in any order::

        core        AW, W, B, AR(1), R(1) --+
                                            +-- memory
        accelerator AR(0), R(0) ------------+

    Parameters
    ----------
    config : of which the width of the bus counts
    address_bits : of a word's address in the memory

    Members
    -------
    core : In(`hw.soc.bus.bus_signature`), words of the memory
    accelerator : In(`hw.memory.axi.read_signature`), which takes every word at once
    forget : In(1), the accelerator is being reset: it gets no word that it had asked for before
    memory : Out(`hw.memory.axi.memory_signature`)

    **Latency**: a cycle more than the memory's. **Throughput**: the accelerator's is that of the memory; the core waits
    for every answer.
    """

    def __init__(self, *, config: HardwareConfig, address_bits: int):
        self._config = config
        super().__init__(
            {
                "core": In(bus_signature(address_bits)),
                "accelerator": In(read_signature(config.bus_bytes)),
                "forget": In(1),
                "memory": Out(memory_signature(config.bus_bytes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        core, memory = self.core, self.memory
        wanted, sent, size = Signal(), Signal(), ceil_log2(self._config.bus_bytes)
        # The bus word, and which part of it is the core's.
        address, lane = Signal(ADDRESS_BITS), core.address[: size - 2] if size > 2 else Const(0, 1)
        m.d.comb += [
            address.eq(core.address[size - 2 :] << size),
            wanted.eq(core.valid & ~core.ready & ~sent & ~core.mask.any()),
            memory.arsize.eq(size),
            memory.awsize.eq(size),
        ]
        accelerator = self.accelerator
        asked = accelerator.arvalid & accelerator.arready
        ended = memory.rvalid & memory.rlast & (memory.rid != CORE)
        # While it ends what the accelerator had asked for before it was reset, it gives it nothing and takes nothing.
        dropping = ending(m, config=self._config, asked=asked, ended=ended, forget=self.forget)
        self._addresses(m, address, wanted, sent, dropping)
        self._data(m, lane, dropping)
        self._write(m, address, lane)
        with m.If(core.ready):
            m.d.sync += sent.eq(0)
        return m

    def _addresses(self, m, address, wanted, sent, dropping):
        """Send the address of whose turn it is; one that is offered stays until it is taken."""
        memory, accelerator = self.memory, self.accelerator
        turn, asking = Signal(), Signal()  # turn: the core's
        m.d.comb += [
            asking.eq(accelerator.arvalid & ~dropping),
            memory.arvalid.eq(turn | asking),
            memory.araddr.eq(Mux(turn, address, accelerator.araddr)),
            memory.arlen.eq(Mux(turn, 0, accelerator.arlen)),
            memory.arburst.eq(INCR),
            memory.arid.eq(turn),
            accelerator.arready.eq(memory.arready & ~turn & ~dropping),
        ]
        with m.If(turn):
            m.d.sync += [turn.eq(~memory.arready), sent.eq(memory.arready)]
        with m.Elif(memory.arready | ~asking):
            m.d.sync += turn.eq(wanted)

    def _data(self, m, lane, dropping):
        """Give every word to who has asked."""
        memory, accelerator, core = self.memory, self.accelerator, self.core
        own = memory.rid == CORE
        m.d.comb += [
            memory.rready.eq(1),
            accelerator.rvalid.eq(memory.rvalid & ~own & ~dropping),
            *(getattr(accelerator, name).eq(getattr(memory, name)) for name in ("rdata", "rresp", "rlast")),
        ]
        m.d.sync += [
            core.ready.eq((memory.rvalid & own) | (memory.bvalid & memory.bready)),
            core.answer.eq(memory.rdata.word_select(lane, WORD_BITS)),
        ]

    def _write(self, m, address, lane):
        """Send a word of the core with its address, each until it is taken, and wait for the response."""
        memory, core = self.memory, self.core
        addressed, written, writing = Signal(), Signal(), Signal()
        m.d.comb += [
            writing.eq(core.valid & ~core.ready & core.mask.any()),
            memory.awvalid.eq(writing & ~addressed),
            memory.awaddr.eq(address),
            memory.awburst.eq(INCR),
            memory.awid.eq(CORE),
            memory.wvalid.eq(writing & ~written),
            memory.wdata.eq(core.data.replicate(len(memory.wdata) // WORD_BITS)),
            memory.wstrb.eq(core.mask << (lane * WORD_BYTES)),
            memory.wlast.eq(1),
            memory.bready.eq(1),
        ]
        with m.If(memory.awvalid & memory.awready):
            m.d.sync += addressed.eq(1)
        with m.If(memory.wvalid & memory.wready):
            m.d.sync += written.eq(1)
        with m.If(memory.bvalid):
            m.d.sync += [addressed.eq(0), written.eq(0)]
