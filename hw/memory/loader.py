"""What comes from outside: the blocks of a program into their memories, pixels into bit-planes of spike memory."""

from amaranth import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import address_shape, fill_layout, params_count_shape, rows_shape, spikes_layout, write_layout
from hw.config import HardwareConfig
from hw.program import COUNT_BITS, DESCRIPTOR, DESCRIPTOR_LAYOUT, Memory, entry_words, memory_shapes

CODE_BITS = 4
"""Width of the code of a memory in the header of a section, above the number of its entries."""


def item_bits(config: HardwareConfig) -> int:
    """Width of an item of the pixel stream: a byte, or a spike pattern of more timesteps."""
    return max(8, config.timesteps)


def entry_layout(width: int, depth: int) -> data.StructLayout:
    """An entry of a memory and the address that it goes to."""
    return data.StructLayout({"address": range(depth), "data": unsigned(width)})


class BlockLoader(wiring.Component):
    """Takes the payload of a program apart (`hw.program.Program.sections`) and writes it into the memories.

    All but the descriptors go into rings: entry ``n`` of a memory, counted from the start, goes to address ``n`` modulo
    its depth, once the entry that was there is not needed any more. While a ring is full, no word is taken; what is
    behind the loader runs on and frees a group at a time::

        released         written
        |  in use or to come  |   room   |
        <------------- depth ------------>

    The parameters of a group are read by the neurons shortly after its last position has left the lanes, so they are
    freed with the group after it.

    Members
    -------
    start : In(1), begin: all memories are empty
    words : In(stream of bus words)
    fill : Out(stream of `hw.beats.fill_layout`, always ready), weights
    descriptors, params, taps, mixes : Out(stream of address and entry, always ready)
    described : Out(1), all descriptors are there
    rows_ready : Out, weight rows that are there since ``start``, modulo their range (`hw.beats.rows_shape`)
    params_ready : Out, beats of neuron parameters likewise (`hw.beats.params_count_shape`)
    release : In(1), a group is not needed any more: its ``release_rows`` and, one group late, ``release_params``
    release_taps : In(16), so many beats of taps, and of the parameters that belong to them, are not needed any more

    **Latency**: an entry is written, and counts, in the cycle after that of its last word. **Throughput**: one word a
    cycle.
    """

    def __init__(self, *, config: HardwareConfig):
        self._config = config
        shapes = memory_shapes(config)
        self._entries = {memory: shape for memory, shape in shapes.items() if memory is not Memory.WEIGHTS}
        super().__init__(
            {
                "start": In(1),
                "words": In(stream.Signature(8 * config.bus_bytes)),
                "fill": Out(stream.Signature(fill_layout(config), always_ready=True)),
                **{
                    memory.name.lower(): Out(stream.Signature(entry_layout(*shape), always_ready=True))
                    for memory, shape in self._entries.items()
                },
                "described": Out(1),
                "rows_ready": Out(rows_shape(config)),
                "params_ready": Out(params_count_shape(config)),
                "release": In(1),
                "release_rows": In(DESCRIPTOR["weight_rows"]),
                "release_params": In(DESCRIPTOR["group_params"]),
                "release_taps": In(DESCRIPTOR["free_taps"]),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # A header is next, or an entry of a memory, and its last word.
        left, chosen = Signal(COUNT_BITS), {memory: Signal(name=f"to_{memory.name.lower()}") for memory in Memory}
        header, last, full = Signal(init=1), Signal(), Signal()
        taken, complete = Signal(), Signal()
        counts = {memory: range(depth) for memory, (_, depth) in self._entries.items()} | {
            Memory.WEIGHTS: self.rows_ready.shape(),
            Memory.PARAMS: self.params_ready.shape(),
        }
        counted = {memory: Signal(shape, name=f"written_{memory.name.lower()}") for memory, shape in counts.items()}
        m.d.comb += [
            self.words.ready.eq(header | ~full),
            taken.eq(self.words.valid & ~header & ~full),
            complete.eq(taken & last),
            self.params_ready.eq(counted[Memory.PARAMS]),
        ]
        code, entries = self.words.payload[COUNT_BITS:][:CODE_BITS], self.words.payload[:COUNT_BITS]
        with m.If(header & self.words.valid):
            m.d.sync += [chosen[memory].eq(code == memory) for memory in Memory]
            m.d.sync += [left.eq(entries), header.eq(entries == 0)]
        with m.If(complete):
            m.d.sync += [left.eq(left - 1), header.eq(left == 1)]
            with m.If(chosen[Memory.DESCRIPTORS] & (left == 1)):
                m.d.sync += self.described.eq(1)
        for memory, count in counted.items():
            with m.If(complete & chosen[memory]):
                m.d.sync += count.eq(count + 1)
        index = self._count_words(m, header=header, code=code, taken=taken, last=last)
        self._write(m, chosen=chosen, taken=taken, complete=complete, index=index, counted=counted)
        self._keep_room(m, header=header, code=code, chosen=chosen, complete=complete, full=full)
        m.d.sync += self.rows_ready.eq(counted[Memory.WEIGHTS])
        with m.If(self.start):
            m.d.sync += [header.eq(1), self.described.eq(0), self.rows_ready.eq(0)]
            m.d.sync += [count.eq(0) for count in counted.values()]
        return m

    def _count_words(self, m, *, header, code, taken, last):
        """Return the number of the word within its entry; ``last`` says that the entry ends with it."""
        sizes = {memory: entry_words(memory, self._config) for memory in Memory}
        index, final = Signal(range(max(sizes.values()))), Signal(range(max(sizes.values())))
        following = Mux(last, 0, index + 1)
        with m.If(header):
            m.d.sync += index.eq(0)
            with m.Switch(code):
                for memory, words in sizes.items():
                    with m.Case(memory):
                        m.d.sync += [final.eq(words - 1), last.eq(words == 1)]
        with m.Elif(taken):
            m.d.sync += [index.eq(following), last.eq(following == final)]
        return index

    def _write(self, m, *, chosen, taken, complete, index, counted):
        """Gather the words of an entry and write it; words of weights go on at once."""
        width = 8 * self._config.bus_bytes
        longest = max(entry_words(memory, self._config) for memory in self._entries)
        entry = Signal(width * longest, reset_less=True)
        # The newest word is on top; an entry of n words fills the upper n.
        gathered = Cat(entry[width:], self.words.payload)
        with m.If(taken):
            m.d.sync += entry.eq(gathered)
        for memory in self._entries:
            port = getattr(self, memory.name.lower())
            m.d.sync += [port.valid.eq(complete & chosen[memory]), port.payload.address.eq(counted[memory])]
            m.d.comb += port.payload.data.eq(entry[width * (longest - entry_words(memory, self._config)) :])
        fill = self.fill.payload
        m.d.sync += [
            self.fill.valid.eq(taken & chosen[Memory.WEIGHTS]),
            fill.row.eq(counted[Memory.WEIGHTS]),
            fill.word.eq(index),
            fill.data.eq(self.words.payload),
        ]

    def _keep_room(self, m, *, header, code, chosen, complete, full):
        """Count the entries in every ring; ``full`` says that the chosen one has no room.

        A group may be done before its last rows are there, if no position looked at them: then the count is negative.
        """
        late = Signal.like(self.release_params)
        with m.If(self.release):
            m.d.sync += late.eq(self.release_params)
        freed = {
            Memory.WEIGHTS: Mux(self.release, self.release_rows, 0),
            Memory.PARAMS: Mux(self.release, late, 0),
            Memory.TAPS: self.release_taps,
            Memory.MIXES: self.release_taps,
        }
        filled = []
        for memory, released in freed.items():
            depth, name = memory_shapes(self._config)[memory][1], memory.name.lower()
            inside = Signal(range(-depth, depth + 1), name=f"inside_{name}")
            leaving = Signal.like(inside, name=f"leaving_{name}")
            m.d.sync += [leaving.eq(released), inside.eq(inside + (complete & chosen[memory]) - leaving)]
            # Whether there is no room is known a cycle before; what leaves is not looked at before it has left.
            one_left, none_left = inside == depth - 1, inside[-2] & ~inside[-1]
            filled.append(Mux(header, code == memory, chosen[memory]) & (none_left | (one_left & complete)))
            with m.If(self.start):
                m.d.sync += [inside.eq(0), leaving.eq(0)]
        m.d.sync += full.eq(Cat(filled).any())
        with m.If(self.start):
            m.d.sync += [late.eq(0), full.eq(0)]


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

    Latency: two cycles from ``start`` to the first item, one from the last item of a beat to its first chunk.
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
                "write": Out(stream.Signature(write_layout(config, spikes_layout(config)), always_ready=True)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, layer = self.config, self.layer
        steps, channels = config.timesteps, config.beat_channels
        gathered = Signal(data.ArrayLayout(item_bits(config), channels))
        slot, channel = Signal(range(max(2, channels))), Signal.like(layer.pixel_channels)
        address = Signal(address_shape(config))
        left = Signal(len(address) + 1)
        loading, final = Signal(), Signal()  # positions are left; this is the last one

        starting = Signal()
        # A complete beat, its chunk on top; it moves up as chunks are written.
        pending = Signal(data.ArrayLayout(steps * config.chunks, channels))
        chunks_left, write_address = Signal(range(config.chunks + 1)), Signal.like(address)
        # Whether an item is the last of its position is found out a cycle before it comes.
        last_channel, top = Signal(), Signal.like(layer.pixel_channels)
        following = Mux(last_channel, 0, channel + 1)
        m.d.sync += top.eq(layer.pixel_channels - 1)
        full = last_channel | (slot == channels - 1)
        taken = self.pixels.valid & self.pixels.ready
        m.d.comb += [
            self.pixels.ready.eq(loading & (~full | (chunks_left <= 1))),
            self.busy.eq(starting | loading | (chunks_left != 0)),
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
                channel.eq(following),
                last_channel.eq(following == top),
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
            m.d.sync += [left.eq(left - 1), final.eq(left == 2), loading.eq(~final)]
        with m.If(self.start):
            m.d.sync += [
                left.eq(layer.pixels),
                address.eq(layer.output_base),
                slot.eq(0),
                channel.eq(0),
            ]
        m.d.sync += starting.eq(self.start)
        with m.If(starting):
            m.d.sync += [loading.eq(left != 0), final.eq(left == 1), last_channel.eq(top == 0)]
        return m
