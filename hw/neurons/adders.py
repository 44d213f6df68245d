"""Adders that share a carry chain."""

from collections.abc import Sequence

from amaranth import Cat, Module, Signal, Value


def add_joined(m: Module, pairs: Sequence[tuple[Value, Value]], *, unused: Value) -> list[Signal]:
    """Return the sum of every pair, as wide as its first number, and signed like that.

    An FPGA spends logic on both ends of a carry chain (four LUTs on an ECP5), as much as on some bits of it. So the
    numbers lie side by side in one long adder; a zero above each of them takes its carry and passes none on::

        0 a1  0 a0
      + 0 b1  0 b0

    The zeros are ``unused``, a signal that is 1 only where nobody uses the sums: where they were constant, Yosys would
    cut the adder.
    """
    left, right, places, start = [], [], [], 0
    for first, second in pairs:
        # Extended by its sign, if it has one.
        wide = Signal(first.shape())
        m.d.comb += wide.eq(second)
        left += [first, unused]
        right += [wide, unused]
        places.append((Signal(first.shape()), start))
        start += len(first) + 1
    total = Signal(start)
    m.d.comb += total.eq(Cat(left) + Cat(right))
    m.d.comb += [result.eq(total[place : place + len(result)]) for result, place in places]
    return [result for result, _ in places]
