"""The performance counters: their names, and the bank that counts a layer and reports it."""

from enum import IntEnum

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out


class Counter(IntEnum):
    """One counter of a layer; the number is its index on the counters port."""

    CYCLES = 0  # from the start of the layer to its end
    EVENTS = 1  # spike patterns taken by the lanes, once per group of output channels
    SPIKES = 2  # set bits of these patterns
    SOPS = 3  # accumulates: bits times output channels; in a MIX layer those of the depthwise convolution and the mask
    WEIGHT_FETCHES = 4  # weights read: events times output channels
    NULLS = 5  # cycles that close a position without any event
    STALLED = 6  # cycles in which an event waits for the lanes
    IDLE = 7  # cycles without an event
    SPIKE_READS = 8  # words read from spike memory
    SPIKE_WRITES = 9  # beats written to spike memory
    STREAM_READS = 10  # beats read from the residual stream
    STREAM_WRITES = 11  # beats written to the residual stream
    HITS = 12  # set bits of QA & KA
    SATURATIONS = 13  # clamped values of the residual stream


VALUE_BITS = 48
"""Width of a counter."""


REPORT = data.StructLayout({"layer": 8, "index": 8, "value": VALUE_BITS})
"""One counter of one layer; ``index`` is a `Counter`."""


class CounterBank(wiring.Component):
    """Counts what happens in a layer and reports it at the end.

    Members
    -------
    increments : In, what every counter gains in this cycle, indexed by `Counter`
    clear : In(1), begin a layer
    report : In(1), send the values; what happens from this cycle to the end of ``busy`` is not counted
    layer : In(8), the layer's number, for the report
    values : Out(stream of layer, index and value, always ready), in the order of `Counter`; all are 0 afterwards
    busy : Out(1), reporting

    Latency: one cycle from an increment to the value; one from ``report`` to the first value.
    Throughput: one value a cycle.
    """

    def __init__(self, *, increment_bits: int):
        if type(increment_bits) is not int or increment_bits < 1:
            raise TypeError(f"increment_bits must be a positive integer, not {increment_bits!r}")
        super().__init__(
            {
                "increments": In(data.ArrayLayout(increment_bits, len(Counter))),
                "clear": In(1),
                "report": In(1),
                "layer": In(8),
                "values": Out(stream.Signature(REPORT, always_ready=True)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        counts = Signal(data.ArrayLayout(VALUE_BITS, len(Counter)))
        index = Signal(8)
        m.d.comb += [
            self.values.valid.eq(self.busy),
            self.values.payload.layer.eq(self.layer),
            self.values.payload.index.eq(index),
            self.values.payload.value.eq(counts[0]),
        ]
        with m.If(self.busy):
            # The report shifts the values out, instead of choosing among them.
            m.d.sync += [counts.as_value().eq(counts.as_value() >> VALUE_BITS), index.eq(index + 1)]
            with m.If(index == len(Counter) - 1):
                m.d.sync += self.busy.eq(0)
        with m.Elif(self.report):
            m.d.sync += [self.busy.eq(1), index.eq(0)]
        with m.Else():
            for count, increment in zip(counts, self.increments, strict=True):
                m.d.sync += count.eq(count + increment)
        with m.If(self.clear):
            m.d.sync += counts.eq(0)
        return m
