"""Choosing among values with one bit for each: flatter and smaller in LUTs of four inputs than a multiplexer."""

from collections.abc import Sequence

from amaranth import Cat, Const, Mux, Value


def slices(value: Value, width: int) -> list[Value]:
    """The value in pieces of ``width`` bits, lowest first."""
    return [value[start : start + width] for start in range(0, len(value), width)]


def lowest(bits: Value) -> tuple[Value, Value]:
    """The lowest bit that is set, alone, and the others; in constant depth, so for few bits."""
    below = Cat(Const(0, 1), *(bits[:number].any() for number in range(1, len(bits))))
    return bits & ~below, bits & below


def number_of(one_hot: Value) -> Value:
    """The number of the bit that is set, 0 when none is."""
    width = (len(one_hot) - 1).bit_length()
    return Cat(Cat(one_hot[i] for i in range(len(one_hot)) if i >> b & 1).any() for b in range(width))


def select(one_hot: Value, values: Sequence[Value]) -> Value:
    """The value whose bit is set, as an AND-OR so that no priority is built; zero when none is."""
    return either([Mux(one_hot[i], value, 0) for i, value in enumerate(values)])


def either(values: Sequence[Value]) -> Value:
    """The OR of all values, as a tree."""
    values = list(values)
    while len(values) > 1:
        values = [a | b for a, b in zip(values[::2], values[1::2], strict=False)] + values[len(values) & ~1 :]
    return values[0]
