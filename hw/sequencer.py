"""Executes a program: reads a descriptor, starts its layer, waits for the end, reports, goes on."""

from amaranth import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import HardwareConfig
from hw.program import DESCRIPTOR_LAYOUT, descriptor_words

SETTLE = 4
"""Cycles between the end of a layer's source and the first look at the units behind it."""


class Sequencer(wiring.Component):
    """Runs the layers of a program in order, from the first descriptor to the one marked final.

    Members
    -------
    start : In(1), run the program once; ignored while busy
    described : In(1), the descriptors are there; looked at from the cycle after ``start`` on
    address : Out, data : In(bus word), descriptor memory, one cycle from address to data
    layer : Out, the descriptor, stable from ``begin`` to the end of the layer
    number : Out(8), the layer's position in the program
    begin : Out(1), a layer starts
    running : Out(1), a layer is running, or what it left in the pipelines
    active : Out(1), the layer has not finished: work in the background may go on
    finished : In(1), the source of the layer has sent its last result; a pulse
    settled : In(1), nothing is on its way behind it
    report : Out(1), reported : In(1), the counters are sent, and have been
    busy : Out(1), done : Out(1) a pulse at the end of the program

    Latency: the words of a descriptor and two cycles from ``described`` or ``reported`` to ``begin``; ``SETTLE + 1``
    from ``finished`` to ``report``, or one from ``settled`` if that comes later; one from the last ``reported`` to
    ``done``.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "described": In(1),
                "address": Out(range(config.program_depth)),
                "data": In(8 * config.bus_bytes),
                "layer": Out(DESCRIPTOR_LAYOUT),
                "number": Out(8),
                "begin": Out(1),
                "running": Out(1),
                "active": Out(1),
                "finished": In(1),
                "settled": In(1),
                "report": Out(1),
                "reported": In(1),
                "busy": Out(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        size, width = descriptor_words(self.config), 8 * self.config.bus_bytes
        words = Signal(data.ArrayLayout(width, size))
        count = Signal(range(size + 1))
        wait = Signal(range(SETTLE))
        m.d.comb += [self.layer.as_value().eq(words.as_value()), self.busy.eq(1)]
        m.d.sync += [self.done.eq(0), self.begin.eq(0)]
        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.busy.eq(0)
                m.d.sync += [self.address.eq(0), self.number.eq(0), count.eq(0)]
                with m.If(self.start):
                    m.next = "load"
            with m.State("load"):
                with m.If(self.described):
                    m.next = "fetch"
            with m.State("fetch"):
                # The word of the address before is here, except in the first cycle.
                # Each has its place, and is not moved there: of the bits that nobody reads nothing is built.
                m.d.sync += count.eq(count + 1)
                for place in range(size):
                    with m.If(count == place + 1):
                        m.d.sync += words[place].eq(self.data)
                with m.If(count == size):
                    m.d.sync += self.begin.eq(1)
                    m.next = "begin"
                with m.Else():
                    m.d.sync += self.address.eq(self.address + 1)
            with m.State("begin"):
                m.d.sync += [count.eq(0), wait.eq(0)]
                m.next = "run"
            with m.State("run"):
                m.d.comb += [self.running.eq(1), self.active.eq(1)]
                with m.If(self.finished):
                    m.next = "settle"
            with m.State("settle"):
                m.d.comb += self.running.eq(1)
                with m.If(wait != SETTLE - 1):
                    m.d.sync += wait.eq(wait + 1)
                with m.Elif(self.settled):
                    m.next = "report"
            with m.State("report"):
                m.d.comb += self.report.eq(1)
                m.next = "reporting"
            with m.State("reporting"):
                with m.If(self.reported):
                    m.d.sync += [self.number.eq(self.number + 1), self.done.eq(self.layer.final)]
                    m.next = "fetch"
                    with m.If(self.layer.final):
                        m.next = "idle"
        return m
