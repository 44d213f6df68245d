"""What an event is worth: the increments of the counters that the engine knows."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

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


def tally_layout(config: HardwareConfig) -> data.StructLayout:
    """What each of these counters gains in a cycle, by its name."""
    return data.StructLayout({counter.name: (config.timesteps * config.lanes).bit_length() for counter in TALLIED})


class EventTally(wiring.Component):
    """Watches the events on their way into the lanes.

    Members
    -------
    layer : In, the descriptor
    valid, ready : In(1), event : In(`hw.beats.event_layout`), the watched stream
    counts : Out, increments of this cycle: ``events``, ``spikes``, ``sops``, ``weight_fetches``, ``nulls``,
        ``stalled`` and ``idle`` (`hw.counters.Counter`); ``idle`` says only that no event is there

    Latency: none. The accumulates of an event are its channels, added once for every bit of its pattern: no multiplier.
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
        pattern = self.event.pattern
        taken = self.valid & self.ready
        channels = Signal(DESCRIPTOR["last_channels"])
        m.d.comb += channels.eq(Mux(self.event.tail, self.layer.last_channels, self.layer.group_channels))
        m.d.comb += [
            self.counts.STALLED.eq(self.valid & ~self.ready),
            self.counts.IDLE.eq(~self.valid),
            self.counts.NULLS.eq(taken & ~pattern.any()),
        ]
        with m.If(taken & pattern.any()):
            m.d.comb += [
                self.counts.EVENTS.eq(1),
                self.counts.SPIKES.eq(sum(pattern)),
                self.counts.SOPS.eq(sum(Mux(bit, channels, 0) for bit in pattern)),
                self.counts.WEIGHT_FETCHES.eq(channels),
            ]
        return m
