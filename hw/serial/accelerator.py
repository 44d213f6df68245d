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

COUNTERS = tuple(name for name in REPORT.members if name != "layer")
"""The counters of a layer, by their index."""


def traced(payload: data.Layout) -> stream.Signature:
    """A trace record: the number of the layer, and what is written."""
    return stream.Signature(data.StructLayout({"layer": 8, **payload.members}), always_ready=True)


class SerialCore(wiring.Component):
    """Runs a whole network from pixels to logits, one timestep after the other, with the program in a memory beside it.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    enable : Out(1), address : Out, read the program (`hw.serial.program.Program.words`) ...
    data : In(32), ... and have the word one cycle later
    base : In(address), its first word; looked at with ``start``
    pixels : In(stream of 8 bits), the image in raster order, the channels of a position together
    start : In(1), run the program; ignored while busy
    busy : Out(1), done : Out(1) a pulse at the end
    layer : Out(8), the number of the layer
    logits : Out(stream of `hw.serial.firing.logit_layout`, always ready), the classifier's currents
    counters : Out(stream of `REPORT`), one for each layer at its end; the next layer waits until it is taken
    trace_spikes, trace_stream : Out(trace), what is written to spike memory and to the residual stream

    The traces cost nothing where they are not connected. Latency: data dependent.
    """

    def __init__(self, *, config: SerialConfig):
        self.config = config
        super().__init__(
            {
                "enable": Out(1),
                "address": Out(range(config.store_depth)),
                "data": In(STORE_BITS),
                "base": In(range(config.store_depth)),
                "pixels": In(stream.Signature(PLANES)),
                "start": In(1),
                "busy": Out(1),
                "done": Out(1),
                "layer": Out(8),
                "logits": Out(stream.Signature(logit_layout(config), always_ready=True)),
                "counters": Out(stream.Signature(REPORT)),
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
            planes.enable.eq((walker.busy | emitter.busy) & loads),
            lanes.capture.eq(closed),
            lanes.shift.eq(firing.shift),
            firing.sum.eq(lanes.sum),
            firing.restart.eq(sequencer.begin),
            walker.start.eq(sequencer.begin),
            sequencer.start.eq(self.start),
            sequencer.base.eq(self.base),
            sequencer.data.eq(self.data),
            self.enable.eq(sequencer.enable),
            self.address.eq(sequencer.address),
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
            sequencer.reported.eq(self.counters.ready),
        ]
        increments = {"cycles": 1, "events": emitter.event.valid, "saturations": firing.saturated}
        for name, increment in increments.items():
            count = Signal.like(counts[name], name=name)
            m.d.sync += count.eq(Mux(sequencer.opened, 0, count + (increment & ~sequencer.closed)))
            m.d.comb += counts[name].eq(count)


class SerialAccelerator(wiring.Component):
    """`SerialCore` with its program in a single-port memory.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    store : In(stream of 32-bit words), the program from its first word on, which is written once; taken while idle.
        rewind : In(1), the next word is the first
    all others : those of `SerialCore`

    Latency and throughput: those of `SerialCore`. A reset leaves the program.
    """

    def __init__(self, *, config: SerialConfig):
        self.config = config
        inner = SerialCore(config=config)
        own = ("enable", "address", "data", "base")
        members = {name: member for name, member in inner.signature.members.items() if name not in own}
        super().__init__({"store": In(stream.Signature(STORE_BITS)), "rewind": In(1), **members})
        self._core = inner

    def elaborate(self, platform):
        m = Module()
        core, written = self._core, Signal(range(self.config.store_depth))
        m.submodules.core = core
        m.submodules.program = program = SinglePort(width=STORE_BITS, depth=self.config.store_depth)
        for name in core.signature.members:
            if name in self.signature.members:
                _pass_on(m, getattr(self, name), getattr(core, name), core.signature.members[name])
        m.d.comb += [
            self.store.ready.eq(~core.busy),
            program.write.eq(self.store.valid & self.store.ready),
            program.enable.eq(program.write | core.enable),
            program.address.eq(Mux(program.write, written, core.address)),
            program.entry.eq(self.store.payload),
            core.data.eq(program.data),
        ]
        with m.If(program.write):
            m.d.sync += written.eq(written + 1)
        with m.If(self.rewind):
            m.d.sync += written.eq(0)
        return m


def _pass_on(m: Module, outer, inner, member: wiring.Member) -> None:
    """Connect a member of a component to that of one inside it."""
    if member.is_signature:
        connect(m, inner, flipped(outer)) if member.flow == Out else connect(m, flipped(outer), inner)
    elif member.flow == Out:
        m.d.comb += outer.eq(inner)
    else:
        m.d.comb += inner.eq(outer)
