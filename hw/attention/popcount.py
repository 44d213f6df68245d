"""Counting set bits, for hits and for the counters of spikes."""

from amaranth import Value


def popcount(value: Value) -> Value:
    """Number of set bits of a value of at least one bit, a balanced tree of adders."""
    if len(value) == 1:
        return value
    middle = len(value) // 2
    return popcount(value[:middle]) + popcount(value[middle:])
