"""The performance counters: their names, and the bank that counts a layer and reports it."""

from collections.abc import Mapping
from enum import IntEnum

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.neurons.adders import add_joined


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
    busy : Out(1), reporting

    Latency: one cycle from ``report`` to the first value, which has everything up to the cycle before ``report``.
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
        m.submodules.totals = totals = Memory(shape=VALUE_BITS, depth=count, init=[])
        read, write = totals.read_port(domain="comb"), totals.write_port()
        turn = Signal(range(count))
        written = Signal(count)  # totals of this layer; the others are 0
        last = turn == count - 1
        # The turn once more, one bit a counter: an AND-OR takes less than a wide multiplexer.
        mine = Signal(count, init=1)
        total = Signal(VALUE_BITS)
        stored = Mux((written & mine).any(), read.data, 0)
        m.d.comb += [
            read.addr.eq(turn),
            write.addr.eq(turn),
            write.en.eq(1),
            write.data.eq(total),
            total.eq(stored + self._gather(m, mine)),
            self.values.valid.eq(self.busy),
            self.values.payload.layer.eq(self.layer),
            self.values.payload.index.eq(turn),
            self.values.payload.value.eq(total),
        ]
        m.d.sync += [turn.eq(Mux(last, 0, turn + 1)), mine.eq(mine.rotate_left(1))]
        m.d.sync += written.eq(Mux(self.busy, written & ~mine, written | mine))
        with m.If(self.report & ~self.busy):
            m.d.sync += [self.busy.eq(1), turn.eq(0), mine.eq(1)]
        with m.Elif(last):
            m.d.sync += self.busy.eq(0)
        with m.If(self.clear):
            m.d.sync += written.eq(0)
        return m

    def _gather(self, m, mine):
        """Add up the increments between two turns of each counter; return what the counter at its turn has gathered."""
        counting = self.enable & ~self.report & ~self.busy
        registers, pairs, gathered = [], [], 0
        for counter, width in self._widths.items():
            register = Signal(width + len(Counter).bit_length(), name=f"gathered_{counter.name.lower()}")
            registers.append(register)
            pairs.append((Mux(mine[counter], 0, register), Mux(counting, self.increments[counter.name], 0)))
            gathered |= Mux(mine[counter], register, 0)
        for register, total in zip(registers, add_joined(m, pairs, unused=self.clear), strict=True):
            m.d.sync += register.eq(Mux(self.clear, 0, total))
        return gathered
