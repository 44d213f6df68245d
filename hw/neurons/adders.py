"""Adders that share a carry chain."""

from collections.abc import Sequence

from amaranth import Cat, Module, Signal, Value
from amaranth.lib import data

LONGEST = 84
"""Bits of a chain, except where one number alone is longer: the carry takes its time."""


def add_joined(m: Module, pairs: Sequence[tuple[Value, Value]], *, unused: Value) -> list[Signal]:
    """Return the sum of every pair, as wide as its first number, and signed like that.

    An FPGA spends logic on both ends of a carry chain (four LUTs on an ECP5), as much as on some bits of it. So the
    numbers lie side by side in long adders; a zero above each of them takes its carry and passes none on::

        0 a1  0 a0
      + 0 b1  0 b0

    The zeros are ``unused``, a signal that is 1 only where nobody uses the sums: where they were constant, Yosys would
    cut the adder.
    """
    chains, room = [[]], LONGEST
    for first, second in pairs:
        if chains[-1] and len(first) + 1 > room:
            chains.append([])
            room = LONGEST
        chains[-1].append((first, second))
        room -= len(first) + 1
    return [result for chain in chains for result in _chain(m, chain, unused)]


def add_beats(m: Module, first: data.View, second: data.View, *, unused: Value) -> Value:
    """Return the sums of two beats, ``[channel][timestep]`` both, in that order, as in `add_joined`."""
    pairs = [pair for trains in zip(first, second, strict=True) for pair in zip(*trains, strict=True)]
    return Cat(add_joined(m, pairs, unused=unused))


def _chain(m, pairs, unused):
    """The sums of one chain."""
    left, right, results = [], [], []
    for first, second in pairs:
        # Extended by its sign, if it has one.
        wide, result = Signal(first.shape()), Signal(first.shape())
        m.d.comb += wide.eq(second)
        left += [first, unused]
        right += [wide, unused]
        results += [result, Signal(1)]
    m.d.comb += Cat(results).eq(Cat(left) + Cat(right))
    return results[::2]
