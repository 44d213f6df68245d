"""Pooled query counts: how often every channel spikes in every window, as bit-planes of a spike map."""

from amaranth import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import address_shape, routed_layout, spikes_layout, write_layout
from hw.config import HardwareConfig
from hw.memory.memory import block_memory, read_block
from hw.neurons.adders import add_beats
from hw.neurons.pipeline import hold, stages
from hw.program import DESCRIPTOR


class QueryPool(wiring.Component):
    """Counts the spikes of each tile of a layer as they are written, for each channel and timestep, and writes the
    counts into spike memory: a plane for each of their bits, most significant first.

    A tile begins with a position that has ``open`` set, and ends with one that has ``close`` set; they may be the
    same. The beats of a position come in consecutive cycles, from beat 0 on; a beat comes at least three cycles after
    the same one of the position before. After the first beat of a closing position come at least as many cycles in
    which ``o`` is taken as a tile has beats in all planes, before the next closing position.

    Parameters
    ----------
    config : sizes; a tile has at most ``2**count_bits - 1`` positions

    Members
    -------
    enable : In(1), count what comes in this cycle
    base : In(address), beat of the counts, plane 0; constant while busy
    plane : In(address), beats between two planes; constant while busy
    last_plane : In(4), planes, minus one, less than ``count_bits``; constant while busy
    i : In(stream(routed_layout)), spikes as they are written; ``tile`` is where they count, relative to a plane, and
        one more with every beat of the group
    o : Out(stream({address, data})), beats of the counts: plane by plane, each beat by beat
    busy : Out(1), spikes have to be counted or counts to be written, from the cycle after a beat on

    **Latency**: 5 cycles from the first beat of a closing position to the first beat of its counts. **Throughput**: one
    beat a cycle, in and out.
    """

    def __init__(self, *, config: HardwareConfig):
        self._config = config
        spikes = spikes_layout(config)
        self._counts = data.ArrayLayout(
            data.ArrayLayout(unsigned(config.count_bits), config.timesteps), config.beat_channels
        )
        super().__init__(
            {
                "enable": In(1),
                "base": In(address_shape(config)),
                "plane": In(address_shape(config)),
                "last_plane": In(DESCRIPTOR["last_plane"]),
                "i": In(stream.Signature(routed_layout(config), always_ready=True)),
                "o": Out(stream.Signature(write_layout(config, spikes))),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # Stages: the memory, a register behind it, the sums.
        enables, filled = stages(m, self.i.valid & self.enable, 2)
        close, beat = (hold(m, self.i.p[name], enables) for name in ("close", "beat"))
        first = hold(m, self.i.p.beat == 0, enables)
        start = hold(m, (self.base + self.i.p.tile)[: len(self.base)], enables)
        counts = self._count(m, enables, filled[-1], beat)

        # The counts of a tile stay here while those of the next one grow.
        m.submodules.totals = totals = self._memory()
        write = totals.write_port()
        closing = Signal()
        m.d.comb += [
            closing.eq(filled[-1] & close),
            write.en.eq(closing),
            write.addr.eq(beat),
            write.data.eq(counts),
        ]
        last = Signal.like(beat)
        newest = Mux(closing, beat, last)
        m.d.sync += last.eq(newest)
        draining = self._drain(m, totals, begin=closing & first, start=start, last=newest)
        m.d.comb += self.busy.eq(filled.any() | draining | self.o.valid)
        return m

    def _memory(self) -> memory.Memory:
        return block_memory(shape=self._counts, depth=max(2, self._config.group_beats))

    def _count(self, m, enables, entered, beat):
        """Add a beat of spikes to what its tile has so far; return the sum, two cycles after the beat."""
        m.submodules.store = store = self._memory()
        write = store.write_port()
        spikes, entering = hold(m, self.i.p.data, enables), enables[0]
        old = read_block(m, store, address=self.i.p.beat, enable=entering, clear=entering & self.i.p.open)
        old = hold(m, old, enables[1:])
        m.d.comb += [write.addr.eq(beat), write.en.eq(entered)]
        m.d.comb += write.data.as_value().eq(add_beats(m, old, spikes, unused=~entered))
        return write.data

    def _drain(self, m, totals, *, begin, start, last):
        """Write the planes of a tile; return whether there is more of it to come."""
        draining, row = Signal(), Signal.like(self.base)  # first beat of the plane
        beat, bit = Signal(range(self._config.group_beats)), Signal.like(self.last_plane)
        move, load, wrap = Signal(), Signal(), Signal()
        m.d.comb += [
            move.eq(~self.o.valid | self.o.ready),
            load.eq(draining & move),
            wrap.eq(beat == last),
        ]
        # What the memory delivers, and behind it the beat that is offered.
        counts, arrived = read_block(m, totals, address=beat, enable=load), Signal()
        shown, address = hold(m, bit, load), hold(m, (row + beat)[: len(row)], load)
        with m.If(move):
            m.d.sync += [
                arrived.eq(draining),
                self.o.valid.eq(arrived),
                self.o.p.address.eq(address),
                *(
                    pattern.eq(Cat(count.bit_select(shown, 1) for count in steps))
                    for pattern, steps in zip(self.o.p.data, counts, strict=True)
                ),
            ]
        with m.If(load):
            m.d.sync += beat.eq(Mux(wrap, 0, beat + 1))
        with m.If(load & wrap):
            m.d.sync += [row.eq(row + self.plane), bit.eq(bit - 1), draining.eq(bit != 0)]
        with m.If(begin):
            m.d.sync += [row.eq(start), beat.eq(0), bit.eq(self.last_plane), draining.eq(1)]
        return draining | arrived
