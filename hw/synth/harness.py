"""Ports through shift registers, for devices that have fewer pins than a design has ports."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.synth.rtlil import member_signals


class Harness(wiring.Component):
    """A design between two shift registers, one that drives its inputs and one that sees its outputs.

    Every output is added (exclusive-or) to a bit of the second register on its way, so that none can be optimised
    away; every input and output is registered. Their flip-flops and LUTs, one a port bit, come on top
    of the design.

    Parameters
    ----------
    design : what is to be placed
    without : members whose names begin with one of these are left open

    Members
    -------
    i : In(1), the next bit of the inputs
    o : Out(1), the last bit of the outputs

    Latency and throughput: nobody reads them.
    """

    def __init__(self, *, design: wiring.Component, without: tuple[str, ...] = ()):
        self._design = design
        self._without = without
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.design = self._design
        inputs, outputs = [], []
        for name, (member, value) in member_signals(self._design).items():
            if not name.startswith(self._without):
                (inputs if member.flow == In else outputs).append(value)
        driven, seen = Signal(len(Cat(inputs))), Signal(len(Cat(outputs)))
        m.d.comb += [Cat(inputs).eq(driven), self.o.eq(seen[-1])]
        # Inverted from bit to bit: a register behind an input would else be the same as the next bit, and be merged.
        m.d.sync += [driven.eq(~Cat(self.i, driven)), seen.eq(Cat(driven[-1], seen) ^ Cat(outputs))]
        return m
