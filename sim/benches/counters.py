"""The counter bank against sums."""

import cocotb

from hw.counters import VALUE_BITS, Counter
from sim.benches.clocked import Clocked
from sim.streams import generator, parameters, reset, start

WIDTHS = [parameters()["widths"].get(counter.name, 1) for counter in Counter]
LARGEST = [2**width - 1 for width in WIDTHS]
FIRST_VALUE = 4
"""Cycles from a report to its first value."""

OUTPUTS = ["values__valid", "values__payload", "busy"]


async def prepare(dut) -> Clocked:
    """Reset the bank with its inputs at rest."""
    bank = Clocked(dut, OUTPUTS)
    bank.set(increments=0, enable=1, clear=0, report=0, layer=0)
    await start(dut)
    return bank


def join(row: list[int]) -> int:
    """The increments of all counters in one number, the first one lowest."""
    value = 0
    for increment, width in zip(reversed(row), reversed(WIDTHS), strict=True):
        value = value << width | increment
    return value


async def count(bank: Clocked, rows: list[list[int]]) -> list[int]:
    """Play increments, and return what each counter should hold."""
    for row in rows:
        seen = await bank.cycle(increments=join(row))
        assert (seen.values__valid, seen.busy) == (0, 0)
    return [sum(column) % 2**VALUE_BITS for column in zip(*rows, strict=True)]


async def check_report(bank: Clocked, layer: int, expected: list[int]):
    """Ask for a report: one value a cycle after a while, and increments in the meantime do not count."""
    seen = await bank.cycle(report=1, layer=layer, increments=join(LARGEST))
    assert (seen.values__valid, seen.busy) == (0, 0)
    for _ in range(FIRST_VALUE - 1):
        seen = await bank.cycle(report=0)
        assert (seen.values__valid, seen.busy) == (0, 1)
    for index, value in enumerate(expected):
        seen = await bank.cycle(report=0)
        assert (seen.values__valid, seen.busy) == (1, 1)
        assert seen.values__payload == layer | index << 8 | value << 16
    seen = await bank.cycle(increments=0)
    assert (seen.values__valid, seen.busy) == (0, 0)


def random_row(rng) -> list[int]:
    return [rng.choice((0, 1, rng.getrandbits(width))) for width in WIDTHS]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def counts_layer_after_layer(dut):
    """Random increments; each layer begins with a clear, which drops the increments of its own cycle."""
    rng = generator("layers")
    bank = await prepare(dut)
    for layer in (0, 255, *(rng.randrange(256) for _ in range(8))):
        await count(bank, [random_row(rng) for _ in range(rng.randrange(4))])
        await bank.cycle(clear=1, increments=join(random_row(rng)))
        bank.set(clear=0)
        await check_report(bank, layer, await count(bank, [random_row(rng) for _ in range(rng.randint(1, 60))]))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def every_increment_at_its_largest(dut):
    """The widest counter passes its largest value and goes on modulo 2**VALUE_BITS; a report leaves zeros."""
    bank = await prepare(dut)
    await check_report(bank, 1, await count(bank, [LARGEST] * (2 ** (VALUE_BITS - max(WIDTHS)) + 3)))
    await check_report(bank, 2, [0] * len(Counter))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_a_report(dut):
    """A reset ends a report at any of its values and clears the counters."""
    rng = generator("reset")
    bank = await prepare(dut)
    for sent in range(len(Counter)):
        await count(bank, [random_row(rng) for _ in range(5)])
        await bank.cycle(report=1, increments=0)
        for _ in range(sent):
            await bank.cycle(report=0)
        bank.set(report=0)
        await reset(dut)
        assert (await bank.cycle()).busy == 0
        await check_report(bank, 3, await count(bank, [random_row(rng)]))
