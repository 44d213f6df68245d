"""Nested counters with one strided address: the walk over the positions of a layer."""

from amaranth import Cat, Module, Mux, Shape, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.neurons.one_hot import select
from hw.program import LAST, LEVELS

SETTLE_CYCLES = 3
"""Cycles from a step of the loops until all flags are those of the next iteration."""

STEP_CYCLES = 4
"""Cycles from a step of the loops to the next one."""


class LoopNest(wiring.Component):
    """Counts through the loops of `hw.program.LEVELS`, outermost first, and keeps an address.

    Comparing the counters, finding out which loops advance, what the address gains, and advancing take a cycle each:
    positions last as long.

    Parameters
    ----------
    address : of the map; computed modulo its range

    Members
    -------
    last : In, iterations of each loop minus one
    base : In, the address of the first iteration
    deltas : In, what the address gains when a loop advances and all inner loops start again
    restart : In(1), go to the first iteration; needed before the first step
    step : In(1), go to the next iteration; after the last one to the first; at least `STEP_CYCLES` after the step or
        restart before
    ready : Out(1), all outputs belong to the current iteration
    at_first, at_last : Out, one bit a loop: the loop is in its first, last iteration
    done : Out(1), this is the last iteration of all
    address : Out(address)

    Latency: three cycles from ``step`` or ``restart``. Throughput: one step in four cycles.
    """

    def __init__(self, *, address: Shape):
        levels = len(LEVELS)
        super().__init__(
            {
                "last": In(data.StructLayout(LAST)),
                "base": In(address),
                "deltas": In(data.ArrayLayout(signed(address.width), levels)),
                "restart": In(1),
                "step": In(1),
                "ready": Out(1),
                "at_first": Out(levels),
                "at_last": Out(levels),
                "done": Out(1),
                "address": Out(address),
            }
        )

    def elaborate(self, platform):
        m = Module()
        index = Signal(data.StructLayout(LAST))
        delta = Signal(signed(len(self.address)))
        unsettled = Signal(range(SETTLE_CYCLES))
        # One bit a loop: it ends with the next step, and so do the loops inside it.
        ends = Signal(len(LEVELS))
        m.d.comb += [self.ready.eq(unsettled == 0), self.done.eq(ends[0])]
        with m.If(self.restart | self.step):
            m.d.sync += unsettled.eq(SETTLE_CYCLES - 1)
        with m.Elif(~self.ready):
            m.d.sync += unsettled.eq(unsettled - 1)

        advancing = []
        for level, name in reversed(list(enumerate(LEVELS))):
            at_last, inner = self.at_last[level], self.at_last[level + 1 :]
            advancing.insert(0, inner.all() & ~at_last)
            m.d.sync += [at_last.eq(index[name] == self.last[name]), ends[level].eq(inner.all() & at_last)]
            with m.If(self.restart | (self.step & ends[level])):
                m.d.sync += [index[name].eq(0), self.at_first[level].eq(1)]
            with m.Elif(self.step & (ends[level + 1] if name != LEVELS[-1] else 1)):
                m.d.sync += [index[name].eq(index[name] + 1), self.at_first[level].eq(0)]
        chosen = Signal(len(LEVELS))
        m.d.sync += [chosen.eq(Cat(advancing)), delta.eq(select(chosen, self.deltas))]
        with m.If(self.restart | self.step):
            m.d.sync += self.address.eq(Mux(self.restart | self.done, self.base, self.address + delta))
        return m


def connect_loops(m: Module, loops: LoopNest, layer, prefix: str) -> None:
    """Drive the counts of a loop nest from a descriptor, and its steps from the fields that start with ``prefix``."""
    for number, level in enumerate(LEVELS):
        m.d.comb += [
            loops.last[level].eq(layer[f"last_{level}"]),
            loops.deltas[number].eq(layer[f"{prefix}_{level}"]),
        ]


def level_bit(flags, level: str):
    """The bit of ``flags`` (``at_first`` or ``at_last``) that belongs to a loop."""
    return flags[LEVELS.index(level)]


def every_level(flags, levels: tuple[str, ...]):
    """All loops of ``levels`` have their flag."""
    result = level_bit(flags, levels[0])
    for level in levels[1:]:
        result = result & level_bit(flags, level)
    return result
