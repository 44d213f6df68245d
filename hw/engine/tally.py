"""What an event is worth: the increments of the counters that the engine knows."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.attention.popcount import popcount
from hw.beats import event_layout
from hw.config import HardwareConfig
from hw.counters import Counter
from hw.program import DESCRIPTOR, DESCRIPTOR_LAYOUT

TALLIED = (
    Counter.EVENTS,
    Counter.SPIKES,
    Counter.SOPS,
    Counter.WEIGHT_FETCHES,
    Counter.NULLS,
    Counter.STALLED,
    Counter.IDLE,
)
"""The counters that the events of a layer decide."""


TALLY_CYCLES = 2
"""Latency of the tally."""


def tally_layout(config: HardwareConfig) -> data.StructLayout:
    """What each of these counters gains in a cycle, by its name."""
    most = {Counter.SPIKES: config.timesteps, Counter.SOPS: config.timesteps * config.lanes}
    most[Counter.WEIGHT_FETCHES] = config.lanes
    return data.StructLayout({counter.name: most.get(counter, 1).bit_length() for counter in TALLIED})


class EventTally(wiring.Component):
    """Watches the events on their way into the lanes.

    Members
    -------
    layer : In, the descriptor
    valid, ready : In(1), event : In(`hw.beats.event_layout`), the watched stream
    counts : Out, increments of the cycle before last: ``events``, ``spikes``, ``sops``, ``weight_fetches``, ``nulls``,
        ``stalled`` and ``idle`` (`hw.counters.Counter`); ``idle`` says only that no event is there

    Latency: two cycles. The accumulates of an event are its channels times the set bits of its pattern, as a sum of
    shifted numbers of channels: no multiplier.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "layer": In(DESCRIPTOR_LAYOUT),
                "valid": In(1),
                "ready": In(1),
                "event": In(event_layout(config)),
                "counts": Out(tally_layout(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        event, layer = self.event, self.layer
        # The event is registered before it is counted, the counts before the counters add them.
        pattern = Signal.like(event.pattern)
        valid, ready, tail = Signal(), Signal(), Signal()
        group_channels, last_channels = Signal(DESCRIPTOR["group_channels"]), Signal(DESCRIPTOR["last_channels"])
        m.d.sync += [pattern.eq(event.pattern), tail.eq(event.tail), valid.eq(self.valid), ready.eq(self.ready)]
        m.d.sync += [group_channels.eq(layer.group_channels), last_channels.eq(layer.last_channels)]
        channels = Mux(tail, last_channels, group_channels)
        spikes = Signal(range(self.config.timesteps + 1))
        counts = Signal(self.counts.shape())
        m.d.comb += spikes.eq(popcount(pattern))
        m.d.comb += [
            counts.STALLED.eq(valid & ~ready),
            counts.IDLE.eq(~valid),
            counts.NULLS.eq(valid & ready & ~pattern.any()),
        ]
        with m.If(valid & ready & pattern.any()):
            m.d.comb += [
                counts.EVENTS.eq(1),
                counts.SPIKES.eq(spikes),
                counts.SOPS.eq(sum(Mux(bit, channels << place, 0) for place, bit in enumerate(spikes))),
                counts.WEIGHT_FETCHES.eq(channels),
            ]
        m.d.sync += self.counts.eq(counts)
        return m
