"""The event engine: from a descriptor and spike memory to currents."""

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.beats import current_layout, fill_layout, rows_shape, word_layout
from hw.config import HardwareConfig
from hw.engine.drain import Drain
from hw.engine.emitter import Emitter
from hw.engine.fetcher import Fetcher
from hw.engine.lanes import LaneArray
from hw.engine.tally import TALLY_CYCLES, EventTally, tally_layout
from hw.engine.walker import Walker
from hw.neurons.pipeline import delay
from hw.program import DESCRIPTOR_LAYOUT

MIN_INTERVAL = 4
"""Fewest cycles from the end of a position to that of the next: what the loops and the fold need for one."""


class Engine(wiring.Component):
    """Runs an EVENT layer: Walker, Fetcher, Emitter, LaneArray and Drain in a row.

    Members
    -------
    layer : In, the descriptor; stable from ``start`` to ``done``
    start : In(1), begin the layer
    hold : In(1), do not begin another position of the first group
    begun : Out(1), a position and pass of the first group begins
    rows_ready : In(rows), weight rows of the inference that have arrived, modulo their range
    waiting : Out(1), the next inputs wait for their weights; as late as the tally
    release : Out(1), ``layer.weight_rows`` rows, the oldest, are not needed any more
    fill : In(stream of `hw.beats.fill_layout`, always ready), weights on their way into the buffer
    spike_wanted : Out(1), spike_blocked : In(1), a word of spike memory is read in this cycle, if nobody else does
    spike_enable : Out(1), spike_address : Out, spike_data : In, spike memory, words
    coming : Out(1), a current leaves in the next cycle
    currents : Out(stream of `hw.beats.current_layout`, always ready)
    tally : Out, what happened two cycles ago (`hw.engine.tally.tally_layout`)
    done : Out(1), the last current is leaving

    Throughput: one event a cycle, where words hold one on average and positions last at least their interval
    (`hw.compile.intervals` says how long that has to be).
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "layer": In(DESCRIPTOR_LAYOUT),
                "start": In(1),
                "hold": In(1),
                "begun": Out(1),
                "rows_ready": In(rows_shape(config)),
                "waiting": Out(1),
                "release": Out(1),
                "fill": In(stream.Signature(fill_layout(config), always_ready=True)),
                "spike_wanted": Out(1),
                "spike_blocked": In(1),
                "spike_enable": Out(1),
                "spike_address": Out(range(config.spike_depth)),
                "spike_data": In(word_layout(config)["spikes"].shape),
                "coming": Out(1),
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
        connect(m, flipped(self.fill), lanes.fill)
        connect(m, drain.currents, flipped(self.currents))
        for unit in (walker, drain, tally):
            m.d.comb += unit.layer.eq(self.layer)
        m.d.comb += [
            walker.start.eq(self.start),
            walker.hold.eq(self.hold),
            walker.rows_ready.eq(self.rows_ready),
            drain.start.eq(self.start),
            lanes.clear.eq(self.start),
            lanes.last_beats.eq(self.layer.last_beats),
            lanes.interval.eq(self.layer.interval),
            lanes.closing_interval.eq(self.layer.closing_interval),
            self.begun.eq(walker.begun),
            self.waiting.eq(delay(m, walker.waiting, TALLY_CYCLES)),
            self.release.eq(drain.release),
            self.coming.eq(drain.coming),
            self.spike_wanted.eq(fetcher.wanted),
            fetcher.blocked.eq(self.spike_blocked),
            self.spike_enable.eq(fetcher.enable),
            self.spike_address.eq(fetcher.address),
            fetcher.data.eq(self.spike_data),
            tally.valid.eq(emitter.events.valid),
            tally.ready.eq(emitter.events.ready),
            tally.event.eq(emitter.events.payload),
            self.tally.eq(tally.counts),
            self.done.eq(drain.done),
        ]
        return m
