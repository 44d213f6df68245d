"""Nested counters with one strided address: the walk over the positions of a layer."""

from amaranth import Const, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.program import ADDRESS, DELTA, DESCRIPTOR, LEVELS

COUNT = DESCRIPTOR[f"last_{LEVELS[0]}"]


class LoopNest(wiring.Component):
    """Counts through the loops of `hw.program.LEVELS`, outermost first, and keeps an address.

    Members
    -------
    last : In, iterations of each loop minus one
    base : In, the address of the first iteration
    deltas : In, what the address gains when a loop advances and all inner loops start again
    restart : In(1), go to the first iteration; needed before the first step
    step : In(1), go to the next iteration; after the last one to the first
    at_first, at_last : Out, one bit a loop: the loop is in its first, last iteration
    done : Out(1), this is the last iteration of all
    address : Out(24)

    Latency: one cycle from ``step`` or ``restart``. Throughput: one step a cycle.
    """

    def __init__(self):
        levels = len(LEVELS)
        super().__init__(
            {
                "last": In(data.ArrayLayout(COUNT, levels)),
                "base": In(ADDRESS),
                "deltas": In(data.ArrayLayout(DELTA, levels)),
                "restart": In(1),
                "step": In(1),
                "at_first": Out(levels),
                "at_last": Out(levels),
                "done": Out(1),
                "address": Out(ADDRESS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        index = Signal(data.ArrayLayout(COUNT, len(LEVELS)))
        delta = Signal(signed(DELTA.width))
        inner_done = Const(1)
        for level in reversed(range(len(LEVELS))):
            at_last = Signal(name=f"{LEVELS[level]}_at_last")
            m.d.comb += [
                at_last.eq(index[level] == self.last[level]),
                self.at_last[level].eq(at_last),
                self.at_first[level].eq(index[level] == 0),
            ]
            with m.If(inner_done):
                with m.If(~at_last):
                    m.d.comb += delta.eq(self.deltas[level])
                with m.If(self.step):
                    m.d.sync += index[level].eq(index[level] + 1)
                    with m.If(at_last):
                        m.d.sync += index[level].eq(0)
            inner_done = inner_done & at_last
        m.d.comb += self.done.eq(inner_done)
        with m.If(self.step):
            m.d.sync += self.address.eq(self.address + delta)
        with m.If(self.restart | (self.step & self.done)):
            m.d.sync += self.address.eq(self.base)
        with m.If(self.restart):
            m.d.sync += index.eq(0)
        return m


def connect_loops(m: Module, loops: LoopNest, layer, prefix: str) -> None:
    """Drive the counts of a loop nest from a descriptor, and its steps from the fields that start with ``prefix``."""
    for number, level in enumerate(LEVELS):
        m.d.comb += [
            loops.last[number].eq(layer[f"last_{level}"]),
            loops.deltas[number].eq(layer[f"{prefix}_{level}"]),
        ]


def level_bit(flags, level: str):
    """The bit of ``flags`` (``at_first`` or ``at_last``) that belongs to a loop."""
    return flags[LEVELS.index(level)]
