"""The event engine: from a descriptor and spike memory to currents."""

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.beats import current_layout, word_layout
from hw.config import HardwareConfig
from hw.drain import Drain
from hw.emitter import Emitter
from hw.fetcher import Fetcher
from hw.lanes import LaneArray
from hw.program import DESCRIPTOR_LAYOUT, weights_layout
from hw.tally import EventTally, tally_layout
from hw.walker import Walker


class Engine(wiring.Component):
    """Runs an EVENT layer: Walker, Fetcher, Emitter, LaneArray and Drain in a row.

    Members
    -------
    layer : In, the descriptor; stable from ``start`` to ``done``
    start : In(1), begin the layer
    spike_enable : Out(1), spike_address : Out, spike_data : In, spike memory, words
    weight_enable : Out(1), weight_address : Out, weight_data : In, weight memory; its data stay until the next read
    currents : Out(stream of `hw.beats.current_layout`, always ready)
    tally : Out, what happens in this cycle (`hw.tally.tally_layout`)
    done : Out(1), the last current has been sent; one cycle

    Throughput: one event a cycle, where words hold one on average and positions last longer than they take to drain.
    Such a layer takes its events, the beats of the last position (twice, if it has tiles) and 13 cycles.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "layer": In(DESCRIPTOR_LAYOUT),
                "start": In(1),
                "spike_enable": Out(1),
                "spike_address": Out(range(config.spike_depth)),
                "spike_data": In(word_layout(config)["spikes"].shape),
                "weight_enable": Out(1),
                "weight_address": Out(range(config.weight_depth)),
                "weight_data": In(weights_layout(config)),
                "currents": Out(stream.Signature(current_layout(config), always_ready=True)),
                "tally": Out(tally_layout(config)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.walker = walker = Walker(config=self.config)
        m.submodules.fetcher = fetcher = Fetcher(config=self.config)
        m.submodules.emitter = emitter = Emitter(config=self.config)
        m.submodules.lanes = lanes = LaneArray(config=self.config)
        m.submodules.drain = drain = Drain(config=self.config)
        m.submodules.tally = tally = EventTally(config=self.config)
        connect(m, walker.segments, fetcher.segments)
        connect(m, fetcher.words, emitter.words)
        connect(m, emitter.events, lanes.events)
        connect(m, lanes.sums, drain.sums)
        connect(m, drain.currents, flipped(self.currents))
        for unit in (walker, drain, tally):
            m.d.comb += unit.layer.eq(self.layer)
        m.d.comb += [
            walker.start.eq(self.start),
            drain.start.eq(self.start),
            lanes.clear.eq(self.start),
            lanes.beats.eq(drain.beats),
            self.spike_enable.eq(fetcher.enable),
            self.spike_address.eq(fetcher.address),
            fetcher.data.eq(self.spike_data),
            self.weight_enable.eq(lanes.weight_enable),
            self.weight_address.eq(lanes.weight_address),
            lanes.weight_data.eq(self.weight_data),
            tally.valid.eq(emitter.events.valid),
            tally.ready.eq(emitter.events.ready),
            tally.event.eq(emitter.events.payload),
            self.tally.eq(tally.counts),
            self.done.eq(drain.done),
        ]
        return m
