"""On-chip memory of spike maps: written in beats, read in words."""

from dataclasses import replace

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.beats import address_shape, spikes_layout, word_layout, write_layout
from hw.config import HardwareConfig
from hw.memory.memory import block_memory, read_block
from hw.neurons.one_hot import select, slices

BLOCK = 4096
"""Entries of a block RAM as it holds a beat of four timesteps."""


class SpikeMemory(wiring.Component):
    """A linear array of beats. A word is ``word_beats`` consecutive beats, aligned.

    Parameters
    ----------
    config : sizes
    block : entries that block RAMs are taken to have, a power of two of at least 8

    Members
    -------
    write : In(stream of address and one beat, always ready)
    enable : In(1), address : In, read the word at this address (in words) ...
    data : Out, ... and have it one cycle later, until the next read
    beat_enable : In(1), beat_address : In(address), read one beat, in place of a word ...
    beat_data : Out, ... and have it two cycles later, for one cycle

    Throughput: one beat written and one word or beat read a cycle. A beat can be read two cycles after it was written;
    when it is read one cycle after, it may be anything, but not the others of its word. A reset leaves the contents.

    Yosys makes all block RAMs of a memory alike, of one beyond 4,096 words with 4,096 entries: for 9,728 words of 64
    bits it takes 48, and fills 38. What would fill no more than three quarters of the last ones is a memory of its own.
    """

    def __init__(self, *, config: HardwareConfig, block: int = BLOCK):
        self.config = config
        self._block = block
        super().__init__(
            {
                "write": In(stream.Signature(write_layout(config, spikes_layout(config)), always_ready=True)),
                "enable": In(1),
                "address": In(range(config.spike_depth)),
                "data": Out(word_layout(config)["spikes"].shape),
                "beat_enable": In(1),
                "beat_address": In(address_shape(config)),
                "beat_data": Out(spikes_layout(config)),
            }
        )

    def elaborate(self, platform):
        depth, block = self.config.spike_depth, self._block
        rest = depth % block
        return self._parts(depth - rest, rest) if depth > block and 0 < 4 * rest <= 3 * block else self._whole()

    def _parts(self, lower: int, rest: int) -> Module:
        """Words below ``lower``, a multiple of the block, in one memory and the ``rest`` in a second one."""
        m = Module()
        config = self.config
        # Block RAM has at least an eighth of its most entries, and what is left of that is not worth a third memory.
        least = max(self._block // 8, 2)
        upper_depth = -(-rest // least) * least
        low = SpikeMemory(config=replace(config, spike_depth=lower), block=self._block)
        high = SpikeMemory(
            config=replace(config, spike_depth=upper_depth), block=max(8, 1 << upper_depth.bit_length() - 1)
        )
        upper, beat_upper = Signal(), Signal(2)
        first_beat = lower * config.word_beats
        written, read = self.write.payload.address >= first_beat, self.beat_address >= first_beat
        for part, name, writes, reads in ((low, "low", ~written, ~read), (high, "high", written, read)):
            m.submodules[name] = part
            # Those of the upper words begin at 0 again.
            bits = ceil_log2(part.config.spike_depth * config.word_beats)
            m.d.comb += [
                part.write.payload.address.eq(self.write.payload.address[:bits]),
                part.write.payload.data.eq(self.write.payload.data),
                part.write.valid.eq(self.write.valid & writes),
                part.address.eq(self.address),
                part.enable.eq(self.enable),
                part.beat_address.eq(self.beat_address[:bits]),
                part.beat_enable.eq(self.beat_enable & reads),
            ]
        with m.If(self.enable):
            m.d.sync += upper.eq(self.address >= lower)
        m.d.sync += beat_upper.eq(Cat(read, beat_upper))
        m.d.comb += [
            self.data.eq(Mux(upper, high.data, low.data)),
            self.beat_data.eq(Mux(beat_upper[1], high.beat_data, low.beat_data)),
        ]
        return m

    def _whole(self) -> Module:
        m = Module()
        config = self.config
        beat_bits = spikes_layout(config).size
        # Every beat of the words has a block RAM of its own: the others can be read while one is written.
        m.submodules.memory = memory = block_memory(shape=config.word_beats * beat_bits, depth=config.spike_depth)
        write_port, address = memory.write_port(granularity=beat_bits), Signal(range(config.spike_depth))
        word = read_block(m, memory, address=address, enable=self.enable | self.beat_enable)

        shift = config.word_beats.bit_length() - 1
        # Who writes is far away from the block RAMs: a cycle for the way.
        valid, payload = Signal(), Signal.like(self.write.payload, reset_less=True)
        m.d.sync += [valid.eq(self.write.valid), payload.eq(self.write.payload)]
        m.d.comb += [
            write_port.addr.eq(payload.address >> shift),
            write_port.data.eq(payload.data.as_value().replicate(config.word_beats)),
            write_port.en.eq(valid << (payload.address[:shift] if shift else 0)),
            address.eq(self.address),
            self.data.as_value().eq(word),
        ]
        chosen = Signal(config.word_beats)
        with m.If(self.beat_enable):
            m.d.comb += address.eq(self.beat_address >> shift)
            m.d.sync += chosen.eq(1 << (self.beat_address[:shift] if shift else 0))
        m.d.sync += self.beat_data.as_value().eq(select(chosen, slices(word, beat_bits)))
        return m
