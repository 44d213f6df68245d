"""The accelerator: memories, engine, attention and neurons around one sequencer."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.attention import AttentionUnit
from hw.beats import currents_layout, spikes_layout, stream_layout, write_layout
from hw.config import HardwareConfig
from hw.counters import REPORT, Counter, CounterBank
from hw.depthwise import MixUnit
from hw.engine import Engine
from hw.loader import PixelLoader, ProgramLoader
from hw.memory import SyncMemory
from hw.neuron_path import NeuronPath
from hw.program import ADDRESS, Kind, Memory, memory_shapes
from hw.sequencer import Sequencer
from hw.spike_memory import SpikeMemory
from hw.stream_pool import StreamPool
from hw.tally import TALLIED


def traced(payload: data.Layout) -> stream.Signature:
    """A trace record: the layer's number, the address of a beat, and the beat."""
    return stream.Signature(data.StructLayout({"layer": 8, "address": ADDRESS, "data": payload}), always_ready=True)


class Accelerator(wiring.Component):
    """Runs a whole network from pixels to logits.

    Load a program, send ``start`` and the pixels of an image; every ``start`` runs the program once.

    Members
    -------
    program : In(stream of 32 bits), `hw.program.Program.words`; only while not busy
    pixels : In(stream of 8 bits), the image in raster order, the channels of a pixel together
    start : In(1), run the program; ignored while busy
    busy : Out(1), done : Out(1) a pulse at the end
    logits : Out(stream, always ready), beats of the classifier's currents, ``data[class][timestep]``
    counters : Out(stream, always ready), every counter of a layer at its end
    trace_spikes : Out(trace), beats written to spike memory, with their absolute address
    trace_windows : Out(trace), aggregated queries and keys, address relative to their map
    trace_stream : Out(trace), beats written to the residual stream
    trace_mask : Out(trace), beats of the attention mask, address the channel beat

    The traces cost nothing where they are not connected. Latency: data dependent, see ``Counter.CYCLES``.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        spikes = spikes_layout(config)
        super().__init__(
            {
                "program": In(stream.Signature(32)),
                "pixels": In(stream.Signature(8)),
                "start": In(1),
                "busy": Out(1),
                "done": Out(1),
                "logits": Out(stream.Signature(write_layout(currents_layout(config)), always_ready=True)),
                "counters": Out(stream.Signature(REPORT, always_ready=True)),
                "trace_spikes": Out(traced(spikes)),
                "trace_windows": Out(traced(spikes)),
                "trace_stream": Out(traced(stream_layout(config))),
                "trace_mask": Out(traced(spikes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.sequencer = sequencer = Sequencer(config=config)
        m.submodules.loader = loader = ProgramLoader(config=config)
        m.submodules.image = image = PixelLoader(config=config)
        m.submodules.engine = engine = Engine(config=config)
        m.submodules.mix = mix = MixUnit(config=config)
        m.submodules.pool = pool = StreamPool(config=config)
        m.submodules.neurons = neurons = NeuronPath(config=config)
        m.submodules.attention = attention = AttentionUnit(config=config)
        connect(m, flipped(self.program), loader.words)
        connect(m, flipped(self.pixels), image.pixels)
        connect(m, neurons.query, attention.query)
        connect(m, neurons.key, attention.key)
        connect(m, neurons.logits, flipped(self.logits))

        self._control(m, sequencer, image, engine, mix, pool, neurons, attention)
        self._currents(m, neurons, engine, mix, pool)
        spikes = self._memories(m, sequencer, loader, image, engine, mix, pool, neurons, attention)
        self._count(m, sequencer, spikes, engine, mix, pool, neurons, attention)
        for trace, *sources in (
            (self.trace_spikes, spikes.write),
            (self.trace_windows, neurons.query, neurons.key),
            (self.trace_stream, neurons.stream_write),
            (self.trace_mask, attention.trace),
        ):
            m.d.comb += trace.payload.layer.eq(sequencer.number)
            for source in sources:
                with m.If(source.valid):
                    m.d.comb += [
                        trace.valid.eq(1),
                        trace.payload.address.eq(source.payload.address),
                        trace.payload.data.eq(source.payload.data),
                    ]
        return m

    def _control(self, m, sequencer, image, engine, mix, pool, neurons, attention):
        """Start the unit of the layer's kind, and hand every unit its part of the descriptor."""
        layer = sequencer.layer
        sources = {Kind.LOAD: image, Kind.EVENT: engine, Kind.MIX: mix, Kind.POOL: pool}
        running = Signal()
        m.d.sync += running.eq(sequencer.running)
        for kind, unit in sources.items():
            m.d.comb += unit.start.eq(sequencer.begin & (layer.kind == kind))
        idle = ~Cat(image.busy, mix.busy, pool.busy).any()
        m.d.comb += [
            self.busy.eq(sequencer.busy),
            self.done.eq(sequencer.done),
            sequencer.start.eq(self.start),
            sequencer.finished.eq(Mux(layer.kind == Kind.EVENT, engine.done, running & idle)),
            sequencer.settled.eq(~Cat(neurons.busy, attention.busy).any()),
            image.layer.eq(layer),
            engine.layer.eq(layer),
            mix.input_base.eq(layer.input_base),
            mix.channel_beats.eq(layer.output_beats),
            mix.width.eq(layer.width),
            mix.height.eq(layer.height),
            mix.tap_base.eq(layer.tap_base),
            mix.params.eq(layer.position_params),
            pool.tokens.eq(layer.tokens),
            pool.channel_beats.eq(layer.output_beats),
            pool.params.eq(layer.position_params),
            neurons.output_base.eq(layer.output_base),
            neurons.step_mask.eq(layer.step_mask),
            attention.mask_threshold.eq(layer.mask_threshold),
        ]

    def _currents(self, m, neurons, engine, mix, pool):
        """One source at a time sends currents: layers do not overlap."""
        payload = engine.currents.payload.as_value()
        for unit in (mix, pool):
            payload = Mux(unit.o.valid, unit.o.payload.as_value(), payload)
        m.d.comb += [
            neurons.i.valid.eq(engine.currents.valid | mix.o.valid | pool.o.valid),
            neurons.i.payload.as_value().eq(payload),
        ]

    def _memories(self, m, sequencer, loader, image, engine, mix, pool, neurons, attention):
        """Connect the memories to those who write and read them; return the spike memory."""
        config = self.config
        memories = {}
        for memory, (width, depth) in memory_shapes(config).items():
            m.submodules[memory.name.lower()] = memories[memory] = SyncMemory(width=width, depth=depth)
            connect(m, getattr(loader, memory.name.lower()), memories[memory].write)
        stream_bits = stream_layout(config).size
        m.submodules.stream = stream_memory = SyncMemory(width=stream_bits, depth=config.stream_depth)
        m.submodules.spikes = spikes = SpikeMemory(config=config)
        readers = (
            (memories[Memory.DESCRIPTORS], 1, sequencer.address, sequencer.data),
            (memories[Memory.WEIGHTS], engine.weight_enable, engine.weight_address, engine.weight_data),
            (memories[Memory.PARAMS], 1, neurons.params_address, neurons.params_data),
            (memories[Memory.TAPS], 1, mix.tap_address, mix.tap_data),
            (stream_memory, 1, Mux(pool.busy, pool.stream_address, neurons.stream_address), neurons.stream_data),
        )
        for memory, enable, address, result in readers:
            m.d.comb += [memory.enable.eq(enable), memory.address.eq(address)]
            m.d.comb += Value.cast(result).eq(memory.data)
        m.d.comb += [
            pool.stream_data.as_value().eq(stream_memory.data),
            stream_memory.write.valid.eq(neurons.stream_write.valid),
            stream_memory.write.payload.address.eq(neurons.stream_write.payload.address),
            stream_memory.write.payload.data.eq(neurons.stream_write.payload.data.as_value()),
            spikes.write.valid.eq(image.write.valid | neurons.spikes.valid),
            spikes.write.payload.eq(
                Mux(image.write.valid, image.write.payload.as_value(), neurons.spikes.payload.as_value())
            ),
            spikes.enable.eq(engine.spike_enable),
            spikes.address.eq(engine.spike_address),
            engine.spike_data.eq(spikes.data),
            spikes.beat_enable.eq(mix.spike_enable),
            spikes.beat_address.eq(mix.spike_address),
            mix.spike_data.eq(spikes.beat_data),
            attention.mask_address.eq(mix.mask_address),
            mix.mask_data.eq(attention.mask_data),
        ]
        return spikes

    def _count(self, m, sequencer, spikes, engine, mix, pool, neurons, attention):
        """Gather what every unit says of this cycle."""
        config = self.config
        beat = config.beat_channels * config.timesteps
        # An event adds at most to every accumulator; a mixed beat has nine taps and the mask for every spike.
        largest = max(config.lanes * config.timesteps, 10 * beat)
        m.submodules.counters = bank = CounterBank(increment_bits=largest.bit_length())
        layer = sequencer.layer
        tally = {counter: engine.tally[counter.name] for counter in TALLIED}
        tally[Counter.IDLE] = tally[Counter.IDLE] & (layer.kind == Kind.EVENT)
        increments = {
            **tally,
            Counter.CYCLES: 1,
            Counter.SOPS: tally[Counter.SOPS] + mix.sops,
            Counter.SPIKE_READS: engine.spike_enable | mix.spike_enable,
            Counter.SPIKE_WRITES: spikes.write.valid,
            Counter.STREAM_READS: neurons.stream_read | pool.stream_read,
            Counter.STREAM_WRITES: neurons.stream_write.valid,
            Counter.HITS: attention.hits,
            Counter.SATURATIONS: neurons.saturations,
        }
        for counter, increment in increments.items():
            m.d.comb += bank.increments[counter].eq(Mux(sequencer.running, increment, 0))
        m.d.comb += [
            bank.clear.eq(sequencer.begin),
            bank.report.eq(sequencer.report),
            bank.layer.eq(sequencer.number),
            sequencer.reported.eq(~bank.busy),
        ]
        connect(m, bank.values, flipped(self.counters))
