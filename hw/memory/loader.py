"""What comes from outside: the program into its memories, pixels into bit-planes of spike memory."""

from amaranth import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import spikes_layout, write_layout
from hw.config import HardwareConfig
from hw.program import ADDRESS, DESCRIPTOR_LAYOUT, Memory, memory_shapes

COUNT_BITS = 28
"""Width of the entry count in a program header; the memory's code is above it."""


def item_bits(config: HardwareConfig) -> int:
    """Width of an item of the pixel stream: a byte, or a spike pattern of more timesteps."""
    return max(8, config.timesteps)


class ProgramLoader(wiring.Component):
    """Writes a program, a stream of 32-bit words (`hw.program.Program.words`), into the memories.

    A header names a memory and a number of entries; the entries follow, each in as many words as it needs, least
    significant first. Entries go to consecutive addresses from 0. A header with an unknown code loads nothing: its
    entries are single words, and are dropped.

    Members
    -------
    words : In(stream of 32 bits)
    descriptors, params, taps : Out(stream of address and entry, always ready), one a memory
    rows : Out, rows of weights in external memory

    Latency: none; an entry is written in the cycle of its last word. Throughput: one word a cycle.
    """

    def __init__(self, *, config: HardwareConfig):
        self.widths = {memory: width for memory, (width, _) in memory_shapes(config).items()}
        super().__init__(
            {
                "words": In(stream.Signature(32)),
                "rows": Out(ADDRESS),
                **{
                    memory.name.lower(): Out(
                        stream.Signature(
                            data.StructLayout({"address": ADDRESS, "data": unsigned(width)}),
                            always_ready=True,
                        )
                    )
                    for memory, width in self.widths.items()
                },
            }
        )

    def elaborate(self, platform):
        m = Module()
        longest = max(-(-width // 32) for width in self.widths.values())
        entry = Signal(32 * longest)
        code, left, address = Signal(4), Signal(COUNT_BITS), Signal(ADDRESS)
        index, count = Signal(range(longest + 1)), Signal(range(longest + 1))
        # The newest word is on top; an entry of n words fills the upper n.
        shifted = Cat(entry[32:], self.words.payload)
        complete = Signal()
        m.d.comb += [
            self.words.ready.eq(1),
            complete.eq(self.words.valid & (left != 0) & (index == count - 1)),
        ]
        with m.If(self.words.valid):
            with m.If(left == 0):
                m.d.sync += [
                    code.eq(self.words.payload >> COUNT_BITS),
                    left.eq(self.words.payload),
                    address.eq(0),
                    index.eq(0),
                ]
                with m.Switch(self.words.payload >> COUNT_BITS):
                    for memory, width in self.widths.items():
                        with m.Case(memory):
                            m.d.sync += count.eq(-(-width // 32))
                    with m.Default():
                        m.d.sync += count.eq(1)
            with m.Else():
                m.d.sync += [entry.eq(shifted), index.eq(index + 1)]
        with m.If(complete):
            m.d.sync += [index.eq(0), left.eq(left - 1), address.eq(address + 1)]
        with m.If(complete & (code == Memory.ROWS)):
            m.d.sync += self.rows.eq(self.words.payload)
        for memory, width in self.widths.items():
            port = getattr(self, memory.name.lower())
            m.d.comb += [
                port.valid.eq(complete & (code == memory)),
                port.payload.address.eq(address),
                port.payload.data.eq(shifted[32 * (longest - -(-width // 32)) :]),
            ]
        return m


class PixelLoader(wiring.Component):
    """Writes an image into spike memory as patterns: ``timesteps`` bits of a pixel each, most significant chunk first.

    Items come position by position in raster order, the channels of a position together. Chunk ``k`` of a pixel is
    its spike pattern in plane ``k``; planes are ``plane_beats`` apart. An item of ``frames`` is a spike pattern.

    Members
    -------
    layer : In, the descriptor
    start : In(1), begin an image
    pixels : In(stream of `item_bits`), taken only while an image is loading
    write : Out(stream of address and beat, always ready)
    busy : Out(1)

    Latency: one cycle from the last item of a beat to its first chunk.
    Throughput: one item a cycle, as long as a beat's items are at least as many as its chunks; else ``chunks`` cycles
    a beat. A frame has one chunk.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "layer": In(DESCRIPTOR_LAYOUT),
                "start": In(1),
                "pixels": In(stream.Signature(item_bits(config))),
                "write": Out(stream.Signature(write_layout(spikes_layout(config)), always_ready=True)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, layer = self.config, self.layer
        steps, channels = config.timesteps, config.beat_channels
        gathered = Signal(data.ArrayLayout(item_bits(config), channels))
        slot, channel = Signal(range(channels)), Signal.like(layer.pixel_channels)
        left, address = Signal.like(layer.pixels), Signal(ADDRESS)

        # A complete beat, its chunk on top; it moves up as chunks are written.
        pending = Signal(data.ArrayLayout(steps * config.chunks, channels))
        chunks_left, write_address = Signal(range(config.chunks + 1)), Signal(ADDRESS)
        last_channel = channel == layer.pixel_channels - 1
        full = last_channel | (slot == channels - 1)
        taken = self.pixels.valid & self.pixels.ready
        m.d.comb += [
            self.pixels.ready.eq((left != 0) & (~full | (chunks_left <= 1))),
            self.busy.eq((left != 0) | (chunks_left != 0)),
            self.write.valid.eq(chunks_left != 0),
            self.write.payload.address.eq(write_address),
        ]
        for value, pattern in zip(pending, self.write.payload.data, strict=True):
            m.d.comb += pattern.eq(value[-steps:])
        with m.If(chunks_left != 0):
            m.d.sync += [
                chunks_left.eq(chunks_left - 1),
                write_address.eq(write_address + layer.plane_beats),
            ]
            m.d.sync += [value.eq(value << steps) for value in pending]
        with m.If(taken):
            m.d.sync += [
                gathered[slot].eq(self.pixels.payload),
                slot.eq(slot + 1),
                channel.eq(channel + 1),
            ]
        with m.If(taken & full):
            m.d.sync += [
                slot.eq(0),
                address.eq(address + 1),
                write_address.eq(address),
                chunks_left.eq(Mux(layer.frames, 1, config.chunks)),
            ]
            for index in range(channels):
                item = Mux(index == slot, self.pixels.payload, Mux(index < slot, gathered[index], 0))
                # A pattern is on top at once.
                m.d.sync += pending[index].eq(Mux(layer.frames, item << (len(pending[index]) - steps), item))
        with m.If(taken & last_channel):
            m.d.sync += [channel.eq(0), left.eq(left - 1)]
        with m.If(self.start):
            m.d.sync += [
                left.eq(layer.pixels),
                address.eq(layer.output_base),
                slot.eq(0),
                channel.eq(0),
            ]
        return m
