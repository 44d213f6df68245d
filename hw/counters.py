"""The performance counters: their names, and the bank that counts a layer and reports it."""

from collections.abc import Mapping
from enum import IntEnum

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.memory.memory import block_memory, read_block
from hw.neurons.adders import add_joined
from hw.neurons.one_hot import select


class Counter(IntEnum):
    """One counter of a layer; the number is its index on the counters port."""

    CYCLES = 0  # from the start of the layer to its end
    EVENTS = 1  # spike patterns taken by the lanes, once per group of output channels
    SPIKES = 2  # set bits of these patterns
    SOPS = 3  # accumulates: bits times output channels
    WEIGHT_FETCHES = 4  # weights read: events times output channels
    NULLS = 5  # cycles that close a position without any event
    STALLED = 6  # cycles in which an event waits for the lanes
    IDLE = 7  # cycles without an event
    SPIKE_READS = 8  # words read from spike memory for the lanes
    SPIKE_WRITES = 9  # beats written to spike memory, except those of the mixing unit
    STREAM_READS = 10  # beats read from the residual stream
    STREAM_WRITES = 11  # beats written to the residual stream
    HITS = 12  # set bits of QA & KA
    SATURATIONS = 13  # clamped values of the residual stream
    WAITING = 14  # of the idle cycles, those in which the next inputs wait for their weights
    BUS_WORDS = 15  # words that arrived from external memory, for this layer or a later one
    MIX_SOPS = 16  # accumulates of the depthwise convolution and the mask, while this layer ran
    MIX_READS = 17  # beats of keys that the mixing unit read
    MIX_WRITES = 18  # beats that it wrote


VALUE_BITS = 40
"""Width of a counter."""


REPORT = data.StructLayout({"layer": 8, "index": 8, "value": VALUE_BITS})
"""One counter of one layer; ``index`` is a `Counter`."""


class CounterBank(wiring.Component):
    """Counts what happens in a layer and reports it at the end.

    A counter gathers a few cycles in a register of its own; in turn, one counter a cycle, what was gathered is added to
    its total in a memory. That takes one wide adder instead of one for every counter.

    Parameters
    ----------
    widths : bits of the increment of a counter, 1 where it is not named

    Members
    -------
    increments : In, what every counter gains in this cycle, by its name
    enable : In(1), count in this cycle
    clear : In(1), begin a layer
    report : In(1), send the values; what happens from this cycle to the end of ``busy`` is not counted
    layer : In(8), the layer's number, for the report
    values : Out(stream of layer, index and value, always ready), in the order of `Counter`; all are 0 afterwards
    busy : Out(1), reporting, from the cycle after ``report`` on

    Latency: four cycles from ``report`` to the first value, which has everything up to the cycle before ``report``.
    Throughput: one value a cycle. Totals are modulo ``2**VALUE_BITS``.

    Raises TypeError for a width that is not a positive integer.
    """

    def __init__(self, *, widths: Mapping[Counter, int]):
        for counter, width in widths.items():
            if type(width) is not int or width < 1:
                raise TypeError(f"the width of {counter.name} must be a positive integer, not {width!r}")
        self._widths = {counter: widths.get(counter, 1) for counter in Counter}
        super().__init__(
            {
                "increments": In(data.StructLayout({counter.name: self._widths[counter] for counter in Counter})),
                "enable": In(1),
                "clear": In(1),
                "report": In(1),
                "layer": In(8),
                "values": Out(stream.Signature(REPORT, always_ready=True)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        count = len(Counter)
        turn, busy = Signal(range(count)), Signal()
        # The turn once more, one bit a counter: an AND-OR takes less than a wide multiplexer.
        mine = Signal(count, init=1)
        clear, report, pause = Signal(), Signal(), Signal()
        m.d.sync += [clear.eq(self.clear), report.eq(self.report & ~self.busy), pause.eq(report)]
        # Before the first turn of a report comes none: the total of the turn before has to be in the memory.
        with m.If(report):
            m.d.sync += [turn.eq(count - 1), mine.eq(0)]
        with m.Elif(turn == count - 1):
            m.d.sync += [turn.eq(0), mine.eq(1), busy.eq(pause)]
        with m.Else():
            m.d.sync += [turn.eq(turn + 1), mine.eq(mine << 1)]
        gathered = self._gather(m, mine=mine, clear=clear)
        self._add(m, gathered, turn=turn, mine=mine, pause=pause, clear=clear, busy=busy)
        m.d.comb += self.busy.eq(report | pause | busy | self.values.valid)
        return m

    def _add(self, m, gathered, *, turn, mine, pause, clear, busy):
        """Add what a counter has gathered to its total, a cycle after its turn."""
        count = len(Counter)
        m.submodules.totals = totals = block_memory(shape=VALUE_BITS, depth=count)
        write, before = totals.write_port(), read_block(m, totals, address=turn)
        written = Signal(count)  # totals of this layer; the others are 0
        gained, number, bit, valid = Signal.like(gathered), Signal.like(turn), Signal(count), Signal()
        m.d.sync += valid.eq(~pause)
        m.d.sync += [gained.eq(gathered), number.eq(turn), bit.eq(mine), self.values.valid.eq(busy)]
        total = (Mux((written & bit).any(), before, 0) + gained)[:VALUE_BITS]
        m.d.comb += [
            write.addr.eq(number),
            write.en.eq(valid),
            write.data.eq(total),
            self.values.payload.layer.eq(self.layer),
            self.values.payload.index.eq(number),
            self.values.payload.value.eq(total),
        ]
        m.d.sync += written.eq(Mux(self.values.valid, written & ~bit, written | bit))
        with m.If(clear):
            m.d.sync += [written.eq(0), gained.eq(0)]

    def _gather(self, m, *, mine, clear):
        """Add up the increments between two turns of each counter; return what the counter at its turn has gathered."""
        counting, increments = Signal(), Signal.like(self.increments)
        m.d.sync += [counting.eq(self.enable & ~self.report & ~self.busy), increments.eq(self.increments)]
        registers, pairs = [], []
        for counter, width in self._widths.items():
            register = Signal(width + len(Counter).bit_length(), name=f"gathered_{counter.name.lower()}")
            registers.append(register)
            gain = Mux(counting, increments[counter.name], 0)
            pairs.append((Mux(mine[counter], 0, register), gain))
        for register, total in zip(registers, add_joined(m, pairs, unused=clear), strict=True):
            m.d.sync += register.eq(Mux(clear, 0, total))
        return select(mine, registers)
