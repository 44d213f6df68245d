"""The serial accelerator: lanes, what leads to them and what follows them, around one sequencer."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import STREAM_BITS
from hw.memory.single_port import SinglePort
from hw.serial.config import PLANES, STORE_BITS, SerialConfig
from hw.serial.emitter import SerialEmitter
from hw.serial.firing import Firing, logit_layout, spikes_layout, stream_layout
from hw.serial.lanes import SerialLanes
from hw.serial.planes import PlaneLoader
from hw.serial.program import Mode
from hw.serial.sequencer import SerialSequencer
from hw.serial.walker import Walker

REPORT = data.StructLayout({"layer": 8, "cycles": 24, "events": 24, "saturations": 16})
"""What is counted of a layer: cycles from its first parameter to its end, events of all groups, clamped values."""


def traced(payload: data.Layout) -> stream.Signature:
    """A trace record: the number of the layer, and what is written."""
    return stream.Signature(data.StructLayout({"layer": 8, **payload.members}), always_ready=True)


class SerialAccelerator(wiring.Component):
    """Runs a whole network from pixels to logits, one timestep after the other.

    The program (`hw.serial.program.Program.words`) is written into the store once. Every ``start`` runs it.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    store : In(stream of 32-bit words), the program, taken while idle; rewind : In(1), its first word comes next
    pixels : In(stream of 8 bits), the image in raster order, the channels of a position together
    start : In(1), run the program; ignored while busy
    busy : Out(1), done : Out(1) a pulse at the end
    layer : Out(8), the number of the layer
    logits : Out(stream of `hw.serial.firing.logit_layout`, always ready), the classifier's currents
    counters : Out(stream of `REPORT`, always ready), one for each layer at its end
    trace_spikes, trace_stream : Out(trace), what is written to spike memory and to the residual stream

    The traces cost nothing where they are not connected. Latency: data dependent.
    """

    def __init__(self, *, config: SerialConfig):
        self.config = config
        super().__init__(
            {
                "store": In(stream.Signature(STORE_BITS)),
                "rewind": In(1),
                "pixels": In(stream.Signature(PLANES)),
                "start": In(1),
                "busy": Out(1),
                "done": Out(1),
                "layer": Out(8),
                "logits": Out(stream.Signature(logit_layout(config), always_ready=True)),
                "counters": Out(stream.Signature(REPORT, always_ready=True)),
                "trace_spikes": Out(traced(spikes_layout(config))),
                "trace_stream": Out(traced(stream_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.sequencer = sequencer = SerialSequencer(config=config)
        m.submodules.walker = walker = Walker(config=config)
        m.submodules.emitter = emitter = SerialEmitter(config=config)
        m.submodules.lanes = lanes = SerialLanes(config=config)
        m.submodules.firing = firing = Firing(config=config)
        m.submodules.planes = planes = PlaneLoader(config=config)
        connect(m, flipped(self.store), sequencer.store)
        connect(m, flipped(self.pixels), planes.pixels)
        connect(m, sequencer.parameters, firing.fill)
        connect(m, sequencer.weights, lanes.fill)
        connect(m, walker.o, emitter.i)
        connect(m, emitter.event, lanes.event)
        connect(m, firing.logits, flipped(self.logits))
        layer, loads = sequencer.layer, Signal()
        closed = emitter.close.valid & emitter.close.ready
        m.d.comb += [
            loads.eq(layer.mode == Mode.LOAD),
            emitter.whole.eq(layer.mode == Mode.DEPTHWISE),
            firing.place.valid.eq(emitter.close.valid & ~loads),
            planes.place.valid.eq(emitter.close.valid & loads),
            firing.place.payload.eq(emitter.close.payload),
            planes.place.payload.eq(emitter.close.payload),
            emitter.close.ready.eq(Mux(loads, planes.place.ready, firing.place.ready)),
            planes.enable.eq(walker.busy & loads),
            lanes.capture.eq(closed),
            lanes.shift.eq(firing.shift),
            firing.sum.eq(lanes.sum),
            firing.restart.eq(sequencer.begin),
            walker.start.eq(sequencer.begin),
            sequencer.start.eq(self.start),
            sequencer.rewind.eq(self.rewind),
            sequencer.finished.eq(~(walker.busy | emitter.busy | firing.busy)),
            self.busy.eq(sequencer.busy),
            self.done.eq(sequencer.done),
            self.layer.eq(sequencer.number),
        ]
        for unit in (walker, firing, planes):
            m.d.comb += unit.layer.eq(layer)
        for unit in (walker, firing):
            m.d.comb += unit.group.eq(sequencer.group)
        self._memories(m, emitter, firing, planes, loads)
        self._observe(m, sequencer, emitter, firing)
        return m

    def _memories(self, m, emitter, firing, planes, loads):
        """Spike memory and residual stream: who writes goes first."""
        m.submodules.spikes = spikes = SinglePort(width=self.config.lanes, depth=self.config.spike_depth)
        m.submodules.stream = values = SinglePort(width=STREAM_BITS, depth=self.config.stream_depth)
        written, traced = Signal(spikes_layout(self.config)), self.trace_spikes.payload
        m.d.comb += [
            self.trace_spikes.valid.eq(firing.spikes.valid | planes.spikes.valid),
            written.eq(Mux(loads, planes.spikes.payload, firing.spikes.payload)),
            traced.address.eq(written.address),
            traced.data.eq(written.data),
            self.trace_stream.valid.eq(firing.stream_write.valid),
            self.trace_stream.payload.address.eq(firing.stream_write.payload.address),
            self.trace_stream.payload.data.eq(firing.stream_write.payload.data),
            spikes.write.eq(self.trace_spikes.valid),
            spikes.enable.eq(self.trace_spikes.valid | emitter.enable),
            spikes.address.eq(Mux(spikes.write, written.address, emitter.address)),
            spikes.entry.eq(written.data),
            emitter.data.eq(spikes.data),
            emitter.blocked.eq(spikes.write),
            values.write.eq(firing.stream_write.valid),
            values.enable.eq(firing.stream_write.valid | firing.stream_read),
            values.address.eq(Mux(values.write, firing.stream_write.payload.address, firing.stream_address)),
            values.entry.eq(firing.stream_write.payload.data),
            firing.stream_data.eq(values.data),
        ]

    def _observe(self, m, sequencer, emitter, firing):
        """Count, and show the counts at the end of a layer."""
        counts = self.counters.payload
        m.d.comb += [
            counts.layer.eq(sequencer.number),
            self.trace_spikes.payload.layer.eq(sequencer.number),
            self.trace_stream.payload.layer.eq(sequencer.number),
            self.counters.valid.eq(sequencer.closed),
        ]
        increments = {"cycles": 1, "events": emitter.event.valid, "saturations": firing.saturated}
        for name, increment in increments.items():
            count = Signal.like(counts[name], name=name)
            m.d.sync += count.eq(Mux(sequencer.opened, 0, count + increment))
            m.d.comb += counts[name].eq(count)
