"""Sums of numbers that share a carry chain."""

import random

from amaranth import Module, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from hw.neurons.adders import LONGEST, add_joined

SHAPES = [signed(16), unsigned(3), unsigned(1), signed(20), unsigned(LONGEST + 5), signed(8), unsigned(40), signed(37)]


class Joined(wiring.Component):
    """Sums of all shapes; the second numbers are three bits, signed like the first."""

    def __init__(self):
        self.seconds = [signed(3) if shape.signed else unsigned(3) for shape in SHAPES]
        first = {f"a{number}": In(shape) for number, shape in enumerate(SHAPES)}
        second = {f"b{number}": In(shape) for number, shape in enumerate(self.seconds)}
        super().__init__(first | second | {f"y{number}": Out(shape) for number, shape in enumerate(SHAPES)})

    def elaborate(self, platform):
        m = Module()
        numbers = range(len(SHAPES))
        pairs = [(getattr(self, f"a{number}"), getattr(self, f"b{number}")) for number in numbers]
        for number, total in zip(numbers, add_joined(m, pairs, unused=Signal()), strict=True):
            m.d.comb += getattr(self, f"y{number}").eq(total)
        return m


def values(shape, rng):
    """The ends of the range, and something between."""
    low = -(1 << shape.width - 1) if shape.signed else 0
    high = low + (1 << shape.width) - 1
    return rng.choice((low, high, rng.randint(low, high)))


def test_every_sum_is_its_own():
    design, rng = Joined(), random.Random(1)

    async def bench(context):
        for _ in range(500):
            expected = []
            for number, (shape, second) in enumerate(zip(SHAPES, design.seconds, strict=True)):
                a, b = values(shape, rng), values(second, rng)
                context.set(getattr(design, f"a{number}"), a)
                context.set(getattr(design, f"b{number}"), b)
                expected.append((a + b) % 2**shape.width)
            await context.delay(1e-9)
            assert [context.get(getattr(design, f"y{n}")) % 2**s.width for n, s in enumerate(SHAPES)] == expected

    simulator = Simulator(design)
    simulator.add_testbench(bench)
    simulator.run()
