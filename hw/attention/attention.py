"""The attention unit: query and key spikes are ANDed and counted as they pass, and become the mask."""

from collections.abc import Sequence

from amaranth import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.attention.popcount import popcount
from hw.beats import channel_shape, pass_shape, routed_layout, spikes_layout, write_layout
from hw.config import HardwareConfig
from hw.memory.memory import block_memory, read_block
from hw.neurons.adders import add_beats
from hw.neurons.pipeline import hold, stages

COUNT_BITS = 10
"""Width of a count: a map has at most ``2**COUNT_BITS - 1`` windows."""

UNIT_BITS = 4
"""The mask neuron computes in units of ``2**-UNIT_BITS`` hits, because its threshold need not be a whole count."""


def counts_layout(config: HardwareConfig) -> data.ArrayLayout:
    """Hits of one beat: ``counts[channel][timestep]``."""
    return data.ArrayLayout(data.ArrayLayout(unsigned(COUNT_BITS), config.timesteps), config.beat_channels)


def place_layout(config: HardwareConfig) -> data.StructLayout:
    """Where counts and masks of a channel beat are in a pass: the address of their memories."""
    return data.StructLayout({"channel": range(config.channel_depth), "pass_number": range(max(2, config.passes))})


def places(config: HardwareConfig) -> int:
    """Depth of a memory that has all of them."""
    return config.passes << ceil_log2(config.channel_depth)


def select(values: Sequence[Value], index: Value) -> Value:
    """The value with this number: a tree of multiplexers, without the product that indexing by a signal has."""
    if len(values) == 1:
        return values[0]
    pairs = [
        Mux(index[0], *reversed(values[i : i + 2])) if i + 1 < len(values) else values[i]
        for i in range(0, len(values), 2)
    ]
    return select(pairs, index[1:])


def mask_cycles(config: HardwareConfig) -> int:
    """Cycles in which the mask neuron goes through a pass of a channel beat."""
    return 2 * config.beat_channels * config.timesteps + 3


class HitCounter(wiring.Component):
    """Counts hits per channel and timestep over the windows of a map (eq. 15: the sum of QA and KA over windows).

    The counts of all places are stored. Places may come in any order, but two beats of one place are at least 3 cycles
    apart.

    Parameters
    ----------
    config : sizes; a map has up to ``channel_depth`` channel beats

    Members
    -------
    i : In(stream({place, first})), a key arrives; ``first`` starts a count
    hits : In(spikes), what it hits, in the next cycle
    total : Out(range(P * T + 1)), number of hits, ``latency`` cycles after the key, else 0
    read : In(place), the place to read in a cycle without key
    counts : Out([P][T] unsigned(COUNT_BITS)), what was read, in the next cycle; with a beat of this place at least 3
        cycles before the read

    **Latency**: ``latency = 2`` cycles to the number of hits. **Throughput**: one beat a cycle.
    """

    latency = 2

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        place = place_layout(config)
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout({"place": place, "first": 1}), always_ready=True)),
                "hits": In(spikes_layout(config)),
                "total": Out(range(config.beat_channels * config.timesteps + 1)),
                "read": In(place),
                "counts": Out(counts_layout(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        shape = self.counts.shape()
        m.submodules.store = store = block_memory(shape=shape, depth=places(self.config))
        write = store.write_port()
        address = Mux(self.i.valid, self.i.p.place.as_value(), self.read.as_value())
        m.d.comb += self.counts.eq(read_block(m, store, address=address))
        key, arrived = Signal.like(self.i.p), Signal()
        m.d.sync += [key.eq(self.i.p), arrived.eq(self.i.valid)]

        # A count starts with the reset of its flip-flops, which takes no logic if they have no other.
        old, hits = Signal(shape, reset_less=True), Signal(spikes_layout(self.config))
        m.d.sync += [
            old.as_value().eq(Mux(key.first, 0, self.counts.as_value())),
            hits.as_value().eq(Mux(arrived, self.hits.as_value(), 0)),
            write.en.eq(arrived),
            write.addr.eq(key.place.as_value()),
        ]
        m.d.comb += self.total.eq(popcount(hits.as_value()))
        m.d.comb += write.data.as_value().eq(add_beats(m, old, hits, unused=~write.en))
        return m


class MaskNeuron(wiring.Component):
    """Turns the counts of complete channel beats into masks: one neuron that takes its time.

    ``v = (v + count) >> 1``, ``s = v >= threshold``, ``v = 0`` where ``s``, with ``v`` and the threshold in units of
    ``2**-UNIT_BITS`` hits, from pass to pass and in a pass timestep by timestep, the channels of the beat in turn.

    Parameters
    ----------
    config : sizes

    Members
    -------
    i : In(stream(channel)), the counts of this channel beat are complete and can be read from this cycle on. Within a
        layer, channel beats come in ascending order without gaps, and those of a group within fewer cycles of each
        other than a beat takes.
    threshold : In(16); last_pass : In(pass); constant while busy
    read : Out(place), the counts wanted; free : In(1), they are read in this cycle, and ``counts`` has them in the next
    o : Out(stream({address, data})), a mask; the address is its place
    complete : Out(1), the one that left in the cycle before is the last of its group
    busy : Out(1), there is something to do, from the cycle after ``i``

    **Latency**: a pass of a channel beat takes ``beat = 2 * P * T + 3`` cycles, and those in which it waits for
    ``free``; its mask leaves in the last of them.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        place = place_layout(config)
        self.beat = mask_cycles(config)
        super().__init__(
            {
                "i": In(stream.Signature(place["channel"].shape, always_ready=True)),
                "threshold": In(16),
                "last_pass": In(pass_shape(config)),
                "read": Out(place),
                "free": In(1),
                "counts": In(counts_layout(config)),
                "o": Out(stream.Signature(write_layout(config, spikes_layout(config)), always_ready=True)),
                "complete": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        steps = self.config.beat_channels * self.config.timesteps
        step = Signal(range(steps))
        take, add, compare = Signal(), Signal(), Signal()
        with m.FSM():
            with m.State("read"):
                with m.If(self.busy & self.free):
                    m.next = "take"
            with m.State("take"):
                m.d.comb += take.eq(1)
                m.d.sync += step.eq(0)
                m.next = "add"
            with m.State("add"):
                m.d.comb += add.eq(1)
                m.next = "compare"
            with m.State("compare"):
                m.d.comb += compare.eq(1)
                m.d.sync += step.eq(step + 1)
                m.next = "add"
                with m.If(step == steps - 1):
                    m.next = "write"
            with m.State("write"):
                m.d.comb += self.o.valid.eq(1)
                m.next = "read"
        self._walk(m)
        self._integrate(m, step, take, add, compare)
        return m

    def _walk(self, m):
        """Go over the passes of the channel beats that are complete."""
        here, newest = self.read, Signal.like(self.i.p)
        beat = Signal(range(self.config.group_beats))
        last = here.channel == newest
        m.d.sync += self.complete.eq(0)
        with m.If(self.o.valid):
            m.d.sync += here.pass_number.eq(here.pass_number + 1)
            with m.If(here.pass_number == self.last_pass):
                m.d.sync += self.complete.eq(last | (beat == self.config.group_beats - 1))
                m.d.sync += [here.pass_number.eq(0), here.channel.eq(here.channel + 1), beat.eq(beat + 1)]
                with m.If(last):
                    m.d.sync += self.busy.eq(0)
        with m.If(self.complete):
            m.d.sync += beat.eq(0)
        with m.If(self.i.valid):
            m.d.sync += [newest.eq(self.i.p), self.busy.eq(1)]
            with m.If(~self.busy):
                m.d.sync += here.channel.eq(self.i.p)

    def _integrate(self, m, step, take, add, compare):
        """The neuron: counts of a pass, a membrane for each channel, and the spikes so far."""
        counts = Signal(self.counts.shape(), reset_less=True)
        in_turn = [train[time] for time in range(self.config.timesteps) for train in counts]
        total = Signal(unsigned(COUNT_BITS + UNIT_BITS + 1), reset_less=True)
        membrane_shape = data.ArrayLayout(unsigned(COUNT_BITS + UNIT_BITS), self.config.beat_channels)
        membranes = Signal(membrane_shape, reset_less=True)
        spikes = Signal(self.config.beat_channels * self.config.timesteps, reset_less=True)
        membrane = total[1:]
        spike = membrane >= self.threshold
        with m.If(take):
            m.d.sync += counts.eq(self.counts)
            with m.If(self.read.pass_number == 0):
                m.d.sync += membranes.eq(0)
        with m.If(add):
            old = membranes[-1]
            whole = old[UNIT_BITS:] + select(in_turn, step)
            m.d.sync += total.eq(Cat(old[:UNIT_BITS], whole))
        with m.If(compare):
            m.d.sync += membranes.as_value().eq(Cat(Mux(spike, 0, membrane), membranes))
            m.d.sync += spikes.eq(Cat(spikes, spike) >> 1)
        m.d.comb += self.o.p.address.eq(self.read.as_value())
        for channel, train in enumerate(self.o.p.data):
            m.d.comb += train.eq(Cat(spikes[channel :: self.config.beat_channels]))


class AttentionUnit(wiring.Component):
    """Aggregated attention beside the stream: it takes keys as they leave their neurons, and costs no cycles.

    ``M = LIF(sum over windows of QA & KA)``, per channel and timestep. The queries of a map are written before its
    first key arrives. Two keys of one channel beat and pass are at least 3 cycles apart. Within a layer the channel
    beats of the last window come in ascending order, and those of a group in its last pass within fewer cycles of each
    other than `MaskNeuron` takes for one.

    Parameters
    ----------
    config : sizes

    Members
    -------
    query : In(stream(routed_layout)), a beat of aggregated queries for query memory
    key : In(stream(routed_layout)), a beat of aggregated keys; ``address`` is the beat in query memory that it meets,
        ``first`` and ``last`` mark the first and the last window
    last_pass : In(pass), the last pass of the layer; held while keys arrive and while ``busy``
    mask_threshold : In(16), of the mask neuron, sixteenths of a hit; held likewise
    mask_enable, mask_channel, mask_pass : In, read the mask of this channel beat and pass ...
    mask_data : Out(spikes), ... and have it one cycle later, until the next read
    trace : Out(stream({address, data})), a mask as it is written; ``address`` is the channel beat, and the pass times
        ``channel_depth`` rounded up to a power of two
    complete : Out(1), the masks of a group of channel beats are written with the cycle before
    hits : Out(range(P * T + 1)), set bits of ``QA & KA``, ``hits_latency`` cycles after the key, else 0
    busy : Out(1), keys are inside, from the cycle after a key up to and including the cycle that writes its mask

    **Latency**: ``hits_latency = 2`` cycles from a key to its hits. The first mask is on ``trace`` ``latency =
    hits_latency + MaskNeuron.beat`` cycles after the last pass of its channel beat in the last window, if no key
    arrives when the counts are to be read, and the others follow with ``MaskNeuron.beat`` each. **Throughput**: one key
    and one query a cycle.
    """

    hits_latency = HitCounter.latency

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        self._neuron = MaskNeuron(config=config)
        self.latency = self.hits_latency + self._neuron.beat
        spikes = spikes_layout(config)
        routed = stream.Signature(routed_layout(config), always_ready=True)
        super().__init__(
            {
                "query": In(routed),
                "key": In(routed),
                "last_pass": In(pass_shape(config)),
                "mask_threshold": In(16),
                "mask_enable": In(1),
                "mask_channel": In(channel_shape(config)),
                "mask_pass": In(pass_shape(config)),
                "mask_data": Out(spikes),
                "trace": Out(stream.Signature(write_layout(config, spikes), always_ready=True)),
                "complete": Out(1),
                "hits": Out(range(config.beat_channels * config.timesteps + 1)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.neuron = neuron = self._neuron
        m.submodules.counter = counter = HitCounter(config=self.config)
        spikes = self.mask_data.shape()
        m.submodules.queries = queries = block_memory(shape=spikes, depth=self.config.query_depth)
        write, key = queries.write_port(), self.key.p
        query = read_block(m, queries, address=key.address, enable=self.key.valid)
        keys = hold(m, key.data, self.key.valid)
        m.d.comb += [
            write.addr.eq(self.query.p.address),
            write.data.eq(self.query.p.data),
            write.en.eq(self.query.valid),
            counter.i.valid.eq(self.key.valid),
            counter.i.p.first.eq(key.first),
            counter.i.p.place.channel.eq(key.channel),
            counter.i.p.place.pass_number.eq(key.pass_number),
            counter.hits.as_value().eq(keys.as_value() & query.as_value()),
            counter.read.eq(neuron.read),
            neuron.free.eq(~self.key.valid),
            neuron.counts.eq(counter.counts),
            neuron.threshold.eq(self.mask_threshold),
            neuron.last_pass.eq(self.last_pass),
            self.hits.eq(counter.total),
        ]
        # A channel beat is complete when the counter has stored its last window in the last pass.
        enables, filled = stages(m, self.key.valid, self.hits_latency)
        ends = hold(m, key.last & (key.pass_number == self.last_pass), enables)
        m.d.comb += [
            neuron.i.valid.eq(filled[-1] & ends),
            neuron.i.p.eq(hold(m, key.channel, enables)),
            self.busy.eq(filled.any() | neuron.busy),
            self.complete.eq(neuron.complete),
        ]
        self._store(m, neuron)
        return m

    def _store(self, m: Module, neuron: MaskNeuron):
        """Keep the masks for the mixing unit, and show them."""
        m.submodules.masks = masks = block_memory(shape=self.mask_data.shape(), depth=places(self.config))
        write = masks.write_port()
        place = Signal(place_layout(self.config))
        m.d.comb += [
            self.trace.valid.eq(neuron.o.valid),
            self.trace.p.eq(neuron.o.p),
            write.en.eq(neuron.o.valid),
            write.addr.eq(neuron.o.p.address),
            write.data.eq(neuron.o.p.data),
            place.channel.eq(self.mask_channel),
            place.pass_number.eq(self.mask_pass),
            self.mask_data.eq(read_block(m, masks, address=place.as_value(), enable=self.mask_enable)),
        ]
