"""The accelerator: memories, engine, mixing unit, attention and neurons around one sequencer."""

from dataclasses import dataclass

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.attention.attention import AttentionUnit
from hw.attention.depthwise import MixUnit
from hw.attention.query_pool import QueryPool
from hw.beats import address_shape, currents_layout, reached, spikes_layout, stream_layout, write_layout
from hw.config import HardwareConfig
from hw.counters import REPORT, Counter, CounterBank
from hw.engine.engine import Engine
from hw.engine.tally import TALLIED
from hw.memory.axi import ADDRESS_BITS, read_signature
from hw.memory.loader import BlockLoader, PixelLoader, item_bits
from hw.memory.memory import SyncMemory
from hw.memory.reader import BurstReader
from hw.memory.spike_memory import SpikeMemory
from hw.neurons.neuron_path import NeuronPath
from hw.neurons.stream_pool import StreamPool
from hw.program import Kind, Memory, memory_shapes
from hw.sequencer import Sequencer

OWED_BITS = 16
"""Width of the count of bus words that are not in a counter yet: those that arrive between two layers."""

SETTLED_BITS = 4
"""Width of the number of them that is counted in a cycle."""


def traced(config: HardwareConfig, payload: data.Layout) -> stream.Signature:
    """A trace record: the layer's number, the address of a beat, and the beat."""
    record = {"layer": 8, "address": address_shape(config), "data": payload}
    return stream.Signature(data.StructLayout(record), always_ready=True)


@dataclass(frozen=True, kw_only=True)
class _Units:
    """The parts of an accelerator."""

    sequencer: Sequencer
    reader: BurstReader
    loader: BlockLoader
    image: PixelLoader
    engine: Engine
    mix: MixUnit
    pool: StreamPool
    neurons: NeuronPath
    attention: AttentionUnit
    counts: QueryPool
    spikes: SpikeMemory

    @classmethod
    def build(cls, m: Module, config: HardwareConfig) -> "_Units":
        """Make every part a submodule."""
        units = cls(
            sequencer=Sequencer(config=config),
            reader=BurstReader(config=config),
            loader=BlockLoader(config=config),
            image=PixelLoader(config=config),
            engine=Engine(config=config),
            mix=MixUnit(config=config, state_spacing=NeuronPath.state_spacing(config)),
            pool=StreamPool(config=config),
            neurons=NeuronPath(config=config),
            attention=AttentionUnit(config=config),
            counts=QueryPool(config=config),
            spikes=SpikeMemory(config=config),
        )
        for name, unit in vars(units).items():
            m.submodules[name] = unit
        return units


class Accelerator(wiring.Component):
    """Runs a whole network from pixels to logits.

    A program lies in external memory (`hw.program.Program.payload`). Every ``start``, with the pixels of an image, runs
    it once and reads each of its bytes once: as far ahead of the engine as the memories have room.

    Members
    -------
    bus : Out(`hw.memory.axi.read_signature`), external memory
    base : In(32), byte address of the program there, a multiple of the bus width
    words : In(32), bus words of the program; both are looked at in the cycle after ``start``
    error : Out(1), the memory has refused a word since ``start``
    pixels : In(stream), the image in raster order, the channels of a position together; bytes, or for a network with
        event input spike patterns of ``timesteps`` bits, pass after pass
    start : In(1), run the program; ignored while busy
    busy : Out(1), done : Out(1) a pulse at the end
    layer : Out(8), the number of the layer
    logits : Out(stream, always ready), beats of the classifier's currents, ``data[class][timestep]``
    counters : Out(stream, always ready), every counter of a layer at its end
    trace_spikes : Out(trace), beats written to spike memory, with their absolute address
    trace_mixed : Out(trace), those of the mixing unit, with the number of the layer that wrote the keys
    trace_windows : Out(trace), aggregated queries and keys, address relative to their map
    trace_stream : Out(trace), beats written to the residual stream
    trace_mask : Out(trace), beats of the attention mask

    The traces cost nothing where they are not connected. Latency: data dependent, see ``Counter.CYCLES``.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        spikes = spikes_layout(config)
        super().__init__(
            {
                "bus": Out(read_signature(config.bus_bytes)),
                "base": In(ADDRESS_BITS),
                "words": In(ADDRESS_BITS),
                "error": Out(1),
                "pixels": In(stream.Signature(item_bits(config))),
                "start": In(1),
                "busy": Out(1),
                "done": Out(1),
                "layer": Out(8),
                "logits": Out(stream.Signature(write_layout(config, currents_layout(config)), always_ready=True)),
                "counters": Out(stream.Signature(REPORT, always_ready=True)),
                "trace_spikes": Out(traced(config, spikes)),
                "trace_mixed": Out(traced(config, spikes)),
                "trace_windows": Out(traced(config, spikes)),
                "trace_stream": Out(traced(config, stream_layout(config))),
                "trace_mask": Out(traced(config, spikes)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        units = _Units.build(m, self.config)
        connect(m, flipped(self.pixels), units.image.pixels)
        connect(m, units.reader.bus, flipped(self.bus))
        connect(m, units.reader.o, units.loader.words)
        connect(m, units.loader.fill, units.engine.fill)
        connect(m, units.neurons.query, units.attention.query)
        connect(m, units.neurons.key, units.attention.key)
        connect(m, units.neurons.logits, flipped(self.logits))
        self._control(m, units)
        self._program(m, units)
        self._background(m, units)
        self._currents(m, units)
        self._spikes(m, units)
        self._memories(m, units)
        self._count(m, units)
        self._trace(m, units)
        return m

    def _control(self, m, units):
        """Start the unit of the layer's kind, and hand every unit the descriptor."""
        sequencer, layer = units.sequencer, units.sequencer.layer
        running = Signal()
        m.d.sync += running.eq(sequencer.running)
        for kind, unit in {Kind.LOAD: units.image, Kind.EVENT: units.engine}.items():
            m.d.comb += unit.start.eq(sequencer.begin & (layer.kind == kind))
        for unit in (units.image, units.engine, units.pool):
            m.d.comb += unit.layer.eq(layer)
        idle = ~(units.image.busy | units.pool.busy | self._start_pool(m, units))
        m.d.sync += sequencer.finished.eq(Mux(layer.kind == Kind.EVENT, units.engine.done, running & idle))
        behind = Cat(units.neurons.busy, units.attention.busy, units.counts.busy)
        m.d.comb += [
            self.busy.eq(sequencer.busy),
            self.done.eq(sequencer.done),
            self.layer.eq(sequencer.number),
            sequencer.start.eq(self.start),
            sequencer.settled.eq(~behind.any()),
            units.neurons.output_base.eq(layer.output_base),
            units.neurons.step_mask.eq(layer.step_mask),
            units.neurons.last_pass.eq(layer.last_pass),
            units.attention.mask_threshold.eq(layer.mask_threshold),
            units.attention.last_pass.eq(layer.last_pass),
            units.counts.enable.eq(layer.counted),
            units.counts.base.eq(layer.count_base),
            units.counts.plane.eq(layer.count_plane),
            units.counts.last_plane.eq(layer.last_plane),
        ]

    def _start_pool(self, m, units):
        """Begin with the sums over the tokens when their parameters are there: they have no weights to wait for.

        Return whether they wait.
        """
        layer, waiting, needed = units.sequencer.layer, Signal(), Signal.like(units.loader.params_ready)
        m.d.sync += needed.eq(layer.position_params + layer.output_beats)
        m.d.comb += [
            units.pool.start.eq(waiting & reached(units.loader.params_ready, needed)),
            units.pool.hold.eq(units.neurons.busy),
        ]
        with m.If(units.pool.start):
            m.d.sync += waiting.eq(0)
        with m.Elif(units.sequencer.begin):
            m.d.sync += waiting.eq(layer.kind == Kind.POOL)
        return waiting

    def _program(self, m, units):
        """Read the program again with every start, and free what the engine has used."""
        sequencer, layer, loader = units.sequencer, units.sequencer.layer, units.loader
        begin = Signal()
        m.d.sync += begin.eq(self.start & ~sequencer.busy)
        m.d.comb += [
            units.reader.start.eq(begin),
            units.reader.base.eq(self.base),
            units.reader.words.eq(self.words),
            self.error.eq(units.reader.error),
            loader.start.eq(begin),
            sequencer.described.eq(loader.described & ~begin),
            loader.release.eq(units.engine.release),
            loader.release_rows.eq(layer.weight_rows),
            loader.release_params.eq(layer.group_params),
            loader.release_taps.eq(Mux(sequencer.report, layer.free_taps, 0)),
            units.engine.rows_ready.eq(loader.rows_ready),
        ]

    def _background(self, m, units):
        """Let the mixing unit follow the keys, where it is in nobody's way, and the projection follow it."""
        sequencer, layer, engine, mix = units.sequencer, units.sequencer.layer, units.engine, units.mix
        written = units.neurons.spikes
        mixed = Signal(16)  # positions that the projection has not begun
        ready = units.neurons.mixed & written.valid & written.payload.last
        begun = Signal()
        m.d.sync += [begun.eq(engine.begun & layer.awaits_mix), mixed.eq(mixed + ready - begun)]
        # Whose turn it is, is decided a cycle ahead: the way from one unit through the other would be too long.
        turn = Signal()
        m.d.sync += turn.eq(sequencer.active & mix.busy & ~engine.coming & ~engine.spike_wanted)
        m.d.comb += [
            mix.layer.eq(layer),
            mix.configure.eq(sequencer.begin & layer.mixed),
            mix.group.eq(units.attention.complete),
            mix.enable.eq(turn),
            engine.spike_blocked.eq(turn),
        ]
        m.d.sync += engine.hold.eq(layer.awaits_mix & (mixed == 0))
        with m.If(mix.configure):
            m.d.sync += mixed.eq(0)

    def _currents(self, m, units):
        """The engine goes before the mixing unit, which waits; the pool runs alone."""
        engine, mix, pool = units.engine.currents, units.mix.o, units.pool.o
        pooling = Signal()
        m.d.sync += pooling.eq(units.sequencer.layer.kind == Kind.POOL)
        payload = Mux(engine.valid, engine.payload.as_value(), mix.payload.as_value())
        m.d.comb += [
            units.neurons.i.valid.eq(engine.valid | mix.valid | pool.valid),
            units.neurons.i.payload.as_value().eq(Mux(pooling, pool.payload.as_value(), payload)),
        ]

    def _spikes(self, m, units):
        """Connect spike memory to those who write and read it."""
        image, neurons, counts, memory = units.image.write, units.neurons.spikes, units.counts, units.spikes
        m.d.comb += [
            counts.i.valid.eq(neurons.valid & ~units.neurons.mixed),
            counts.i.payload.eq(neurons.payload),
            counts.o.ready.eq(~neurons.valid),
            memory.write.valid.eq(image.valid | neurons.valid | counts.o.valid),
            memory.enable.eq(units.engine.spike_enable),
            memory.address.eq(units.engine.spike_address),
            units.engine.spike_data.eq(memory.data),
            memory.beat_enable.eq(units.mix.spike_enable),
            memory.beat_address.eq(units.mix.spike_address),
            units.mix.spike_data.eq(memory.beat_data),
        ]
        for field in ("address", "data"):
            value = Mux(image.valid, Value.cast(image.payload[field]), Value.cast(counts.o.payload[field]))
            value = Mux(neurons.valid, Value.cast(neurons.payload[field]), value)
            m.d.comb += Value.cast(memory.write.payload[field]).eq(value)

    def _memories(self, m, units):
        """Connect the other memories to those who fill and read them."""
        neurons, mix, pool = units.neurons, units.mix, units.pool
        memories = {}
        for memory, (width, depth) in memory_shapes(self.config).items():
            # The weights are spread over the lanes.
            if memory is Memory.WEIGHTS:
                continue
            m.submodules[memory.name.lower()] = memories[memory] = SyncMemory(width=width, depth=depth)
            connect(m, getattr(units.loader, memory.name.lower()), memories[memory].write)
        stream_bits = stream_layout(self.config).size
        m.submodules.stream = memories["stream"] = SyncMemory(width=stream_bits, depth=self.config.stream_depth)
        stream_address = Mux(pool.busy, pool.stream_address, neurons.stream_address)
        readers = (
            (Memory.DESCRIPTORS, 1, units.sequencer.address, units.sequencer.data),
            (Memory.PARAMS, 1, neurons.params_address, None),
            (Memory.MIXES, 1, neurons.params_address, None),
            (Memory.TAPS, mix.tap_enable, mix.tap_address, mix.tap_data),
            ("stream", 1, stream_address, neurons.stream_data),
        )
        for name, enable, address, result in readers:
            m.d.comb += [memories[name].enable.eq(enable), memories[name].address.eq(address)]
            if result is not None:
                m.d.comb += Value.cast(result).eq(memories[name].data)
        m.d.comb += neurons.params_data.as_value().eq(
            Mux(neurons.params_mixed, memories[Memory.MIXES].data, memories[Memory.PARAMS].data)
        )
        write = memories["stream"].write
        m.d.comb += [
            pool.stream_data.as_value().eq(memories["stream"].data),
            write.valid.eq(neurons.stream_write.valid),
            write.payload.address.eq(neurons.stream_write.payload.address),
            write.payload.data.eq(neurons.stream_write.payload.data.as_value()),
            units.attention.mask_enable.eq(mix.mask_enable),
            units.attention.mask_channel.eq(mix.mask_channel),
            units.attention.mask_pass.eq(mix.mask_pass),
            mix.mask_data.eq(units.attention.mask_data),
        ]

    def _count(self, m, units):
        """Gather what every unit says of this cycle."""
        sequencer, engine, mix = units.sequencer, units.engine, units.mix
        widths = {counter: engine.tally[counter.name].shape().width for counter in TALLIED} | {
            Counter.HITS: len(units.attention.hits),
            Counter.SATURATIONS: len(units.neurons.saturations),
            Counter.BUS_WORDS: SETTLED_BITS,
            Counter.MIX_SOPS: len(mix.sops),
        }
        m.submodules.counters = bank = CounterBank(widths=widths)
        # Words arrive between layers too; the next layer counts them.
        owed, settled = Signal(OWED_BITS), Signal(SETTLED_BITS)
        m.d.comb += settled.eq(Mux(owed[SETTLED_BITS:].any(), 2**SETTLED_BITS - 1, owed))
        m.d.sync += owed.eq(owed + units.reader.arrived - Mux(sequencer.running, settled, 0))
        tally = {counter: engine.tally[counter.name] for counter in TALLIED}
        events = sequencer.layer.kind == Kind.EVENT
        tally[Counter.IDLE] = tally[Counter.IDLE] & events
        mixed, written = units.neurons.mixed, units.spikes.write.valid
        increments = {
            **tally,
            Counter.CYCLES: 1,
            Counter.SPIKE_READS: engine.spike_enable,
            Counter.SPIKE_WRITES: written & ~mixed,
            Counter.STREAM_READS: units.neurons.stream_read | units.pool.stream_read,
            Counter.STREAM_WRITES: units.neurons.stream_write.valid,
            Counter.HITS: units.attention.hits,
            Counter.SATURATIONS: units.neurons.saturations,
            Counter.WAITING: tally[Counter.IDLE] & engine.waiting,
            Counter.BUS_WORDS: settled,
            Counter.MIX_SOPS: mix.sops,
            Counter.MIX_READS: mix.spike_enable,
            Counter.MIX_WRITES: written & mixed,
        }
        for counter, increment in increments.items():
            m.d.comb += bank.increments[counter.name].eq(increment)
        m.d.comb += [
            bank.enable.eq(sequencer.running),
            bank.clear.eq(sequencer.begin),
            bank.report.eq(sequencer.report),
            bank.layer.eq(sequencer.number),
            sequencer.reported.eq(~bank.busy),
        ]
        connect(m, bank.values, flipped(self.counters))

    def _trace(self, m, units):
        """Show every beat that is written; keys are written before what is mixed of them, maybe in an earlier layer."""
        neurons, spikes, number = units.neurons, units.spikes.write, units.sequencer.number
        keys = Signal.like(number)
        with m.If(units.mix.configure):
            m.d.sync += keys.eq(number)
        for trace, layer, *sources in (
            (self.trace_spikes, number, (spikes.valid & ~neurons.mixed, spikes.payload)),
            (self.trace_mixed, keys, (spikes.valid & neurons.mixed, spikes.payload)),
            (self.trace_windows, number, *((port.valid, port.payload) for port in (neurons.query, neurons.key))),
            (self.trace_stream, number, (neurons.stream_write.valid, neurons.stream_write.payload)),
            (self.trace_mask, number, (units.attention.trace.valid, units.attention.trace.payload)),
        ):
            m.d.comb += trace.payload.layer.eq(layer)
            for valid, payload in sources:
                with m.If(valid):
                    m.d.comb += [
                        trace.valid.eq(1),
                        trace.payload.address.eq(payload.address),
                        trace.payload.data.eq(payload.data),
                    ]
