"""Between the SoC and its memory: a request that was made is ended, even if nobody waits for it any more."""

from amaranth import Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import HardwareConfig
from hw.memory.axi import memory_signature

NOTHING = Const(0)


def ending(m: Module, *, config: HardwareConfig, asked: Value, ended: Value, forget: Value, more: Value = NOTHING):
    """Return whether what was asked before a cycle with ``forget`` has not been answered: from the next cycle on.

    ``asked`` and ``ended`` say that a burst begins and has ended; ``more`` that something else is on its way.
    """
    # The accelerator's bursts, which may be of one word each, the core's word, and one in a register.
    bursts, closed = Signal(range(2 * config.outstanding * config.burst_words + 3)), Signal()
    m.d.sync += bursts.eq(bursts + asked - ended)
    with m.If(forget):
        m.d.sync += closed.eq(1)
    with m.Elif((bursts == 0) & ~more):
        m.d.sync += closed.eq(0)
    return closed


class MemoryGuard(wiring.Component):
    """Stands in for a master that has been reset, while the memory, which has not, still answers it.

    ::

        reset of the SoC   ______/ forget \\______________
        what waits inside  ======|  dropped
        memory             ==== answers ====|
        closed             ______/==========\\_____________   then the SoC may begin again

    Without it the first words that a SoC reads after a reset would be those that it had asked for before, and an
    address without its data would stop the memory for good. Addresses go through a register, so that what the memory
    has been offered stays there.

    Parameters
    ----------
    config : of which the bus counts

    Members
    -------
    inner : In(`hw.memory.axi.memory_signature`), the SoC; its writes are bursts of one word
    outer : Out(`hw.memory.axi.memory_signature`), the memory
    forget : In(1), the SoC is being reset
    closed : Out(1), something has to be ended; from the cycle after ``forget`` to the one in which nothing is left

    **Latency**: a cycle for addresses and what is written, none for what comes back. **Throughput**: a burst is sent in
    two cycles, its words as fast as they come.
    """

    def __init__(self, *, config: HardwareConfig):
        self._config = config
        memory = memory_signature(config.bus_bytes)
        super().__init__({"inner": In(memory), "outer": Out(memory), "forget": In(1), "closed": Out(1)})

    def elaborate(self, platform):
        m = Module()
        asked, ended = self._reads(m)
        writing = self._writes(m)
        how = {"config": self._config, "asked": asked, "ended": ended, "forget": self.forget, "more": writing}
        m.d.comb += self.closed.eq(ending(m, **how))
        return m

    def _reads(self, m):
        """Send addresses, and give words to the SoC or to nobody; return whether a burst begins, and one ends."""
        inner, outer = self.inner, self.outer
        taken, ended = Signal(), Signal()
        m.d.comb += [
            inner.arready.eq(~outer.arvalid & ~self.closed),
            taken.eq(inner.arvalid & inner.arready),
            outer.rready.eq(inner.rready | self.closed),
            inner.rvalid.eq(outer.rvalid & ~self.closed),
            *(getattr(inner, name).eq(getattr(outer, name)) for name in ("rdata", "rresp", "rlast", "rid")),
            ended.eq(outer.rvalid & outer.rready & outer.rlast),
        ]
        self._register(m, "ar", taken)
        return taken, ended

    def _writes(self, m):
        """Take an address together with its word, and send both; return whether the answer is missing."""
        inner, outer, pending, taken = self.inner, self.outer, Signal(), Signal()
        m.d.comb += [
            taken.eq(inner.awvalid & inner.wvalid & ~pending & ~self.closed),
            inner.awready.eq(taken),
            inner.wready.eq(taken),
            outer.bready.eq(inner.bready | self.closed),
            inner.bvalid.eq(outer.bvalid & ~self.closed),
            *(getattr(inner, name).eq(getattr(outer, name)) for name in ("bresp", "bid")),
        ]
        self._register(m, "aw", taken)
        self._register(m, "w", taken)
        with m.If(taken):
            m.d.sync += pending.eq(1)
        with m.Elif(outer.bvalid & outer.bready):
            m.d.sync += pending.eq(0)
        return pending

    def _register(self, m, channel, taken):
        """Keep what a channel carries until the memory has taken it."""
        valid, ready = getattr(self.outer, f"{channel}valid"), getattr(self.outer, f"{channel}ready")
        with m.If(taken):
            m.d.sync += valid.eq(1)
            m.d.sync += [
                getattr(self.outer, name).eq(getattr(self.inner, name))
                for name, member in self.outer.signature.members.items()
                if name.startswith(channel) and member.flow is Out and name not in (f"{channel}valid", "rready")
            ]
        with m.Elif(ready):
            m.d.sync += valid.eq(0)
