"""Nested counters against nested loops."""

import random
from itertools import product

import cocotb
from amaranth import unsigned
from cocotb.triggers import ReadOnly, RisingEdge

from hw.engine.loops import SETTLE_CYCLES, STEP_CYCLES, LoopNest
from hw.program import LAST, LEVELS, pack_fields
from sim.benches.event_layer import steps
from sim.streams import generator, pack, parameters, reset, start

ADDRESS_BITS = parameters()["address_bits"]
LAST_LAYOUT = LoopNest(address=unsigned(ADDRESS_BITS)).signature.members["last"].shape

LONG = 400
"""Most steps of a random nest."""


class Nest:
    """One setting of the loops, and what they should show at every iteration."""

    def __init__(self, counts: list[int], strides: list[int], base: int):
        self.last, self.strides, self.base = [count - 1 for count in counts], strides, base
        self.iterations = list(product(*map(range, counts)))

    def drive(self, dut) -> None:
        dut.last.value = pack_fields(LAST_LAYOUT, dict(zip(LEVELS, self.last, strict=True)))
        dut.deltas.value = pack(steps(self.last, self.strides), ADDRESS_BITS)
        dut.base.value = self.base

    def shown(self, number: int) -> tuple[int, int, int, int]:
        """Address, flags of the first and last iterations, and done, after a number of steps."""
        index = self.iterations[number % len(self.iterations)]
        address = self.base + sum(i * stride for i, stride in zip(index, self.strides, strict=True))
        first = pack((i == 0 for i in index), 1)
        last = pack((i == end for i, end in zip(index, self.last, strict=True)), 1)
        return address % 2**ADDRESS_BITS, first, last, int(index == self.iterations[-1])


def random_nest(rng: random.Random) -> Nest:
    counts = [rng.choice((1, 1, 2, 3, 5)) for _ in LEVELS]
    return Nest(counts, [rng.randint(-(2**17), 2**17) for _ in LEVELS], rng.getrandbits(ADDRESS_BITS))


async def run(dut, nest: Nest, count: int, *, stall: float, rng: random.Random) -> None:
    """Restart, then check every cycle until ``count`` steps are made."""
    nest.drive(dut)
    dut.restart.value, dut.step.value = 1, rng.getrandbits(1)
    await RisingEdge(dut.clk)
    dut.restart.value = 0
    number, age = 0, 1
    while number <= count:
        ready = age >= SETTLE_CYCLES
        step = age >= STEP_CYCLES and rng.random() >= stall
        dut.step.value = step
        await ReadOnly()
        assert dut.ready.value == ready, f"{age} cycles after step {number} of {nest.last}"
        if ready:
            shown = tuple(int(port.value) for port in (dut.address, dut.at_first, dut.at_last, dut.done))
            assert shown == nest.shown(number), f"after {number} steps of {nest.last}"
        await RisingEdge(dut.clk)
        number, age = number + step, 1 if step else age + 1


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def random_loops(dut):
    """All iterations and on into the next round, stepping at once and with waits; restarts anywhere."""
    await start(dut)
    rng = generator("loops")
    for stall in (0.0, 0.5):
        for _ in range(40):
            nest = random_nest(rng)
            await run(dut, nest, min(LONG, rng.randrange(2 * len(nest.iterations))), stall=stall, rng=rng)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def corners(dut):
    """The longest loop, alone at every level, and no loop at all."""
    await start(dut)
    rng = generator("corners")
    for level, width in enumerate(LAST.values()):
        counts = [2**width if number == level else 1 for number in range(len(LEVELS))]
        await run(dut, Nest(counts, [2**11] * len(LEVELS), 2**ADDRESS_BITS - 1), 2**width + 1, stall=0, rng=rng)
    await run(dut, Nest([1] * len(LEVELS), [1] * len(LEVELS), 5), 3, stall=0, rng=rng)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """After a reset in any cycle of a step the next restart works as ever."""
    await start(dut)
    rng = generator("reset")
    for age in range(30):
        nest = random_nest(rng)
        await run(dut, nest, rng.randrange(min(LONG, len(nest.iterations))), stall=0.2, rng=rng)
        dut.step.value = 0
        for _ in range(age % STEP_CYCLES):
            await RisingEdge(dut.clk)
        await reset(dut, 1)
        await ReadOnly()
        assert (dut.address.value, dut.ready.value) == (0, 1)
        await RisingEdge(dut.clk)
        await run(dut, nest, 10, stall=0.2, rng=rng)
