"""The attention unit: query and key spikes are ANDed and counted as they pass, and become the mask."""

from amaranth import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import CHANNEL, key_layout, spikes_layout, write_layout
from hw.config import HardwareConfig
from hw.lif import LifArray
from hw.popcount import popcount

COUNT_BITS = 12
"""Width of a count: a map has at most ``2**COUNT_BITS - 1`` windows."""

UNIT_BITS = 4
"""The mask neuron computes in units of ``2**-UNIT_BITS`` hits, because its threshold need not be a whole count."""


class HitCounter(wiring.Component):
    """Counts hits per channel and timestep over the windows of a map (eq. 15: the sum of QA and KA over windows).

    The counts of all channels are stored, so that the channels of a map may come in any order and the same channel in
    consecutive cycles.

    Parameters
    ----------
    config : sizes; a map has up to ``channel_depth`` channel beats

    Members
    -------
    i : In(stream({hits: spikes, channel, first, last})), ``first`` starts a count, ``last`` emits it
    o : Out(stream({counts: [P][T] unsigned(COUNT_BITS), channel})), the whole counts of a channel beat

    **Latency**: 1 cycle from the beat with ``last`` to its counts. **Throughput**: one beat a cycle.
    """

    def __init__(self, *, config: HardwareConfig):
        self._depth = config.channel_depth
        counts = data.ArrayLayout(data.ArrayLayout(unsigned(COUNT_BITS), config.timesteps), config.beat_channels)
        hits = data.StructLayout({"hits": spikes_layout(config), "channel": CHANNEL, "first": 1, "last": 1})
        total = data.StructLayout({"counts": counts, "channel": CHANNEL})
        super().__init__(
            {
                "i": In(stream.Signature(hits, always_ready=True)),
                "o": Out(stream.Signature(total, always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        counts = self.o.p.counts.shape()
        # Read, increment and write in one cycle: the next beat may be of the same channel.
        m.submodules.store = store = memory.Memory(shape=counts, depth=self._depth, init=[])
        read = store.read_port(domain="comb")
        write = store.write_port()
        m.d.comb += [
            read.addr.eq(self.i.p.channel),
            write.addr.eq(self.i.p.channel),
            write.en.eq(self.i.valid),
        ]
        for new, old, hits in zip(write.data, read.data, self.i.p.hits, strict=True):
            for step, hit in enumerate(hits):
                m.d.comb += new[step].eq(Mux(self.i.p.first, 0, old[step]) + hit)
        m.d.sync += [
            self.o.valid.eq(self.i.valid & self.i.p.last),
            self.o.p.counts.eq(write.data),
            self.o.p.channel.eq(self.i.p.channel),
        ]
        return m


class AttentionUnit(wiring.Component):
    """Aggregated attention beside the stream: it takes keys as they leave their neurons, and costs no cycles.

    ``M = LIF(sum over windows of QA & KA)``, per channel and timestep. The queries of a map are written before its
    first key arrives.

    Parameters
    ----------
    config : sizes

    Members
    -------
    query : In(stream({address, data})), a beat of aggregated queries for query memory
    key : In(stream({address, data, channel, first, last})), a beat of aggregated keys; ``address`` is the beat in query
        memory that it meets, ``first`` and ``last`` mark the first and the last window
    mask_threshold : In(16), of the mask neuron, sixteenths of a hit; held while keys arrive and while ``busy``
    mask_address : In(range(channel_depth)), channel beat
    mask_data : Out(spikes), the mask of that channel beat, one cycle after its address
    trace : Out(stream({address, data})), a mask as it is written; ``address`` is its channel beat
    hits : Out(range(P * T + 1)), set bits of ``QA & KA``, ``hits_latency`` cycles after the key, else 0
    busy : Out(1), keys are inside, from the cycle after a key up to and including the cycle that writes its mask

    **Latency**: ``hits_latency = 2`` cycles from a key to its hits, ``latency = 3 + LifArray.latency`` cycles from the
    last key of a channel beat to its mask on ``trace``; memory has it a cycle later. **Throughput**: one key and one
    query a cycle.
    """

    hits_latency = 2

    def __init__(self, *, config: HardwareConfig):
        self._config = config
        self._lif = LifArray(
            channels=config.beat_channels,
            timesteps=config.timesteps,
            # A sign bit, because the neuron's currents are signed; counts are not.
            current_bits=COUNT_BITS + UNIT_BITS + 1,
        )
        self.latency = 3 + self._lif.latency
        spikes = spikes_layout(config)
        super().__init__(
            {
                "query": In(stream.Signature(write_layout(spikes), always_ready=True)),
                "key": In(stream.Signature(key_layout(config), always_ready=True)),
                "mask_threshold": In(16),
                "mask_address": In(range(config.channel_depth)),
                "mask_data": Out(spikes),
                "trace": Out(stream.Signature(write_layout(spikes), always_ready=True)),
                "hits": Out(range(config.beat_channels * config.timesteps + 1)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        spikes = self.mask_data.shape()
        m.submodules.lif = lif = self._lif
        m.submodules.counter = counter = HitCounter(config=self._config)
        m.submodules.queries = queries = memory.Memory(shape=spikes, depth=self._config.query_depth, init=[])
        m.submodules.masks = masks = memory.Memory(shape=spikes, depth=self._config.channel_depth, init=[])
        query_write, query_read = queries.write_port(), queries.read_port()
        mask_write, mask_read = masks.write_port(), masks.read_port()

        key = Signal.like(self.key.p)
        arrived = Signal()
        m.d.sync += [key.eq(self.key.p), arrived.eq(self.key.valid)]
        m.d.comb += [
            query_write.addr.eq(self.query.p.address),
            query_write.data.eq(self.query.p.data),
            query_write.en.eq(self.query.valid),
            query_read.addr.eq(self.key.p.address),
        ]

        counted = counter.i
        m.d.sync += counted.valid.eq(arrived)
        m.d.sync += counted.p.hits.as_value().eq(Mux(arrived, key.data.as_value() & query_read.data.as_value(), 0))
        m.d.sync += [counted.p[name].eq(key[name]) for name in ("channel", "first", "last")]
        m.d.comb += self.hits.eq(popcount(counted.p.hits.as_value()))

        m.d.comb += lif.i.valid.eq(counter.o.valid)
        for channel, counts in enumerate(counter.o.p.counts):
            m.d.comb += lif.i.p.thresholds[channel].eq(self.mask_threshold)
            for step, count in enumerate(counts):
                m.d.comb += lif.i.p.currents[channel][step].eq(count << UNIT_BITS)
        channels = Signal(data.ArrayLayout(CHANNEL, lif.latency), reset_less=True)
        m.d.sync += channels.as_value().eq(Cat(counter.o.p.channel, *channels))
        m.d.comb += [
            self.trace.valid.eq(lif.o.valid),
            self.trace.p.address.eq(channels[-1]),
            self.trace.p.data.eq(lif.o.p),
            mask_write.addr.eq(self.trace.p.address),
            mask_write.data.eq(self.trace.p.data),
            mask_write.en.eq(self.trace.valid),
            mask_read.addr.eq(self.mask_address),
            self.mask_data.eq(mask_read.data),
            self.busy.eq(arrived | counted.valid | counter.o.valid | lif.busy),
        ]
        return m
