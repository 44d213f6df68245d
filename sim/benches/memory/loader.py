"""The loaders: a program into its memories, pixels into bit-planes."""

import random

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from hw.beats import address_shape, fill_layout, params_count_shape, rows_shape
from hw.config import HardwareConfig
from hw.memory.loader import entry_layout
from hw.program import COUNT_BITS, DESCRIPTOR_LAYOUT, Memory, entry_words, memory_shapes
from sim.benches.probe import Probe
from sim.streams import StreamSource, generator, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
P, T, CHUNKS = CONFIG.beat_channels, CONFIG.timesteps, CONFIG.chunks
ADDRESS_BITS = address_shape(CONFIG).width
SHAPES = memory_shapes(CONFIG)
WIDTHS = {memory: width for memory, (width, _) in SHAPES.items()}
COUNTED_PARAMS, COUNTED_ROWS = (2 ** shape(CONFIG).width for shape in (params_count_shape, rows_shape))
ENTRIES = [memory for memory in Memory if memory is not Memory.WEIGHTS]
BUS = 8 * CONFIG.bus_bytes
IMAGE_PORTS = [f"image__{name}" for name in ("start", "busy", "write__valid", "write__payload", "pixels__valid")]


def idle(dut) -> tuple[StreamSource, StreamSource]:
    """Sources of program words and pixels, all inputs at rest."""
    dut.image__start.value = dut.image__layer.value = 0
    for name in ("start", "release", "release_rows", "release_params", "release_taps"):
        getattr(dut, f"program__{name}").value = 0
    return StreamSource(dut, "program__words"), StreamSource(dut, "image__pixels")


class Sections:
    """A payload of random sections: its words, and the writes that they should cause, ``(memory, number, value)``."""

    def __init__(self, rng: random.Random, counts: list[tuple[Memory, int]]):
        self.words: list[int] = []
        self.writes: list[tuple[Memory, int, int]] = []
        written = dict.fromkeys(Memory, 0)
        for memory, count in counts:
            self.words.append(memory << COUNT_BITS | count)
            for _ in range(count):
                value = rng.choice((0, 2 ** WIDTHS[memory] - 1, rng.getrandbits(WIDTHS[memory])))
                size = entry_words(memory, CONFIG)
                self.words += [value >> BUS * word & 2**BUS - 1 for word in range(size)]
                self.writes.append((memory, written[memory], value))
                written[memory] += 1


def random_sections(rng: random.Random, blocks: int) -> Sections:
    """Descriptors, then blocks of parameters, taps and weights; some sections are empty."""
    counts = [(Memory.DESCRIPTORS, rng.randint(1, 20))]
    for _ in range(blocks):
        taps = rng.choice((0, 0, rng.randint(1, 4)))
        counts += [(Memory.PARAMS, rng.randint(0, 5)), (Memory.TAPS, taps), (Memory.MIXES, taps)]
        counts.append((Memory.WEIGHTS, rng.randint(1, 6)))
    return Sections(rng, counts)


class Memories:
    """What the loader writes, and the engine that frees groups when it likes.

    Fails when an entry is overwritten that has not been freed.
    """

    def __init__(self, dut, rng: random.Random):
        self.dut, self.rng = dut, rng
        self.eager = 0.1
        self.forget()
        cocotb.start_soon(self._watch())
        cocotb.start_soon(self._free())

    def forget(self) -> None:
        """Everything is empty."""
        self.writes: list[tuple[Memory, int, int]] = []
        self.cycles: list[int] = []
        self._cycle = 0
        self._row: list[int] = []
        self.inside = dict.fromkeys((Memory.PARAMS, Memory.TAPS, Memory.MIXES, Memory.WEIGHTS), 0)
        self._late = 0

    def _add(self, memory: Memory, address: int, value: int) -> None:
        number = sum(1 for other, _, _ in self.writes if other is memory)
        assert address == number % SHAPES[memory][1]
        self.writes.append((memory, number, value))
        self.cycles.append(self._cycle)
        if memory in self.inside:
            self.inside[memory] += 1
            assert self.inside[memory] <= SHAPES[memory][1], memory

    async def _watch(self) -> None:
        layouts = {memory: entry_layout(*SHAPES[memory]) for memory in ENTRIES}
        while True:
            await ReadOnly()
            for memory in ENTRIES:
                port = f"program__{memory.name.lower()}"
                if getattr(self.dut, f"{port}__valid").value:
                    entry = layouts[memory].from_bits(int(getattr(self.dut, f"{port}__payload").value))
                    self._add(memory, entry.address, entry.data)
            if self.dut.program__fill__valid.value:
                word = fill_layout(CONFIG).from_bits(int(self.dut.program__fill__payload.value))
                assert word.word == len(self._row)
                self._row.append(word.data)
                if len(self._row) == CONFIG.row_words:
                    self._add(Memory.WEIGHTS, word.row, sum(part << BUS * n for n, part in enumerate(self._row)))
                    self._row = []
            rows = sum(1 for memory, _, _ in self.writes if memory is Memory.WEIGHTS)
            # A row counts in the cycle of its last word here, or of the next.
            assert int(self.dut.program__rows_ready.value) in (rows % COUNTED_ROWS, (rows - 1) % COUNTED_ROWS)
            await RisingEdge(self.dut.clk)
            self._cycle += 1

    async def _free(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            release, rows, params, taps = self.rng.random() < self.eager, 0, 0, 0
            # What was written in this cycle is not looked at yet.
            if release:
                # A group may be freed before all of its rows are there.
                rows = self.rng.randint(0, max(0, self.inside[Memory.WEIGHTS] + 4))
                params = self.rng.randint(0, self.inside[Memory.PARAMS] - self._late)
                self.inside[Memory.WEIGHTS] -= rows
                self.inside[Memory.PARAMS] -= self._late
                self._late = params
            if self.rng.random() < self.eager:
                taps = self.rng.randint(0, min(self.inside[Memory.TAPS], self.inside[Memory.MIXES]))
                self.inside[Memory.TAPS] -= taps
                self.inside[Memory.MIXES] -= taps
            for name, value in (("release", release), ("release_rows", rows), ("release_params", params)):
                getattr(self.dut, f"program__{name}").value = int(value)
            self.dut.program__release_taps.value = taps


async def begin_program(dut, memories: Memories) -> None:
    """Start; returns after the cycle of the start."""
    dut.program__start.value = 1
    await RisingEdge(dut.clk)
    dut.program__start.value = 0
    memories.forget()


async def check_program(dut, source: StreamSource, memories: Memories, sections: Sections) -> None:
    """Load a payload and compare the writes."""
    await begin_program(dut, memories)
    source.put(sections.words)
    await source.drained()
    for _ in range(2):
        await RisingEdge(dut.clk)
    by_memory = [
        [write for write in writes if write[0] is memory]
        for writes in (memories.writes, sections.writes)
        for memory in Memory
    ]
    assert by_memory[: len(Memory)] == by_memory[len(Memory) :]
    assert dut.program__described.value
    assert int(dut.program__params_ready.value) == len(by_memory[Memory.PARAMS]) % COUNTED_PARAMS
    assert int(dut.program__rows_ready.value) == len(by_memory[Memory.WEIGHTS]) % COUNTED_ROWS


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def random_programs(dut):
    """Payloads much larger than the rings, with and without gaps, freed slowly or fast, one right after the other."""
    source, _ = idle(dut)
    rng = generator("programs")
    await start(dut)
    memories = Memories(dut, generator("free"))
    for stall, eager in ((0.0, 0.1), (0.5, 0.1), (0.0, 0.7)):
        source.stall, memories.eager = stall, eager
        for blocks in (1, 3, 20):
            await check_program(dut, source, memories, random_sections(rng, blocks))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def full_rings_stop_the_stream(dut):
    """Of every memory as many entries are taken as it has room for; the next ones when some are freed."""
    source, _ = idle(dut)
    rng = generator("full")
    await start(dut)
    memories = Memories(dut, generator("free"))
    for memory in memories.inside:
        depth = memory_shapes(CONFIG)[memory][1]
        sections = Sections(rng, [(Memory.DESCRIPTORS, 1), (memory, 2 * depth)])
        memories.eager = 0.0
        await begin_program(dut, memories)
        source.put(sections.words)
        for _ in range(2 * len(sections.words)):
            await RisingEdge(dut.clk)
        assert memories.inside[memory] == depth
        # The taps and the parameters that belong to them are freed together.
        if memory in (Memory.TAPS, Memory.MIXES):
            memories.inside |= {Memory.TAPS: depth, Memory.MIXES: depth}
        memories.eager = 0.5
        while source.queue:
            if memory in (Memory.TAPS, Memory.MIXES):
                memories.inside |= dict.fromkeys((Memory.TAPS, Memory.MIXES), memories.inside[memory])
            await RisingEdge(dut.clk)
        memories.eager = 0.0
        for _ in range(3):
            await RisingEdge(dut.clk)
        assert memories.writes == sections.writes


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def throughput(dut):
    """A word a cycle; an entry is written in the cycle after that of its last word."""
    source, _ = idle(dut)
    await start(dut)
    memories = Memories(dut, generator("free"))
    memories.eager = 0.0
    counts = [(Memory.DESCRIPTORS, 5), (Memory.PARAMS, 3), (Memory.TAPS, 2), (Memory.MIXES, 2), (Memory.WEIGHTS, 7)]
    sections = Sections(generator("throughput"), counts)
    probe = Probe(dut, ["program__words__valid", "program__words__ready"])
    await check_program(dut, source, memories, sections)
    probe.stop()
    taken = [n for n, cycle in enumerate(probe.cycles) if cycle.program__words__valid and cycle.program__words__ready]
    assert taken == list(range(taken[0], taken[0] + len(sections.words)))
    ends, word = [], -1
    for memory, count in counts:
        word += 1
        for _ in range(count):
            word += entry_words(memory, CONFIG)
            ends.append(word)
    assert [cycle - memories.cycles[0] for cycle in memories.cycles] == [end - ends[0] for end in ends]


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def reset_in_a_section(dut):
    """After a reset between any two words of a payload, the next one is loaded as ever."""
    source, _ = idle(dut)
    rng = generator("reset")
    await start(dut)
    memories = Memories(dut, generator("free"))
    source.stop()
    for age in range(1, 60, 2):
        source = StreamSource(dut, "program__words")
        await begin_program(dut, memories)
        source.put(random_sections(rng, 3).words)
        for _ in range(age):
            await RisingEdge(dut.clk)
        source.stop()
        await reset(dut, 1)
        memories.forget()
        source = StreamSource(dut, "program__words")
        await check_program(dut, source, memories, random_sections(rng, 2))
        source.stop()


def planes(item: int, layer: dict[str, int]) -> list[int]:
    """The patterns of a pixel, most significant first; an item of a frame is one."""
    if layer["frames"]:
        return [item]
    return [item >> T * (CHUNKS - 1 - chunk) & 2**T - 1 for chunk in range(CHUNKS)]


def image_writes(pixels: list[list[int]], layer: dict[str, int]) -> tuple[list[list[int]], list[int]]:
    """Payloads of the writes of every beat, and the number of bytes of every beat, for pixels [position][channel]."""
    payloads, sizes = [], []
    for values in pixels:
        for first in range(0, len(values), P):
            beat = values[first : first + P]
            address = layer["output_base"] + len(payloads)
            patterns = [planes(item, layer) for item in beat]
            payloads.append(
                [
                    (address + chunk * layer["plane_beats"]) % 2**ADDRESS_BITS
                    | pack([p[chunk] for p in patterns], T) << ADDRESS_BITS
                    for chunk in range(len(patterns[0]))
                ]
            )
            sizes.append(len(beat))
    return payloads, sizes


def random_image(
    rng: random.Random, positions: int, channels: int, *, frames: bool = False
) -> tuple[list[list[int]], dict[str, int]]:
    """Pixels or spike patterns [position][channel], and the descriptor that loads them."""
    top = 2**T - 1 if frames else 255
    pixels = [[rng.choice((0, top, rng.randint(0, top))) for _ in range(channels)] for _ in range(positions)]
    layer = {"pixels": positions, "pixel_channels": channels, "output_base": rng.getrandbits(20), "frames": int(frames)}
    return pixels, layer | {"plane_beats": rng.getrandbits(20)}


async def begin(dut, layer: dict[str, int]):
    """Start an image; returns after the cycle of the start."""
    dut.image__layer.value = DESCRIPTOR_LAYOUT.const(layer).as_bits()
    dut.image__start.value = 1
    await RisingEdge(dut.clk)
    dut.image__start.value = 0


async def check_image(
    dut, source: StreamSource, pixels: list[list[int]], layer: dict[str, int], offered: list[list[int]] | None = None
):
    """Load an image and compare the writes; without stalls, every cycle. ``offered`` are pixels still to be sent."""
    probe = Probe(dut, [*IMAGE_PORTS, "image__pixels__ready"])
    source.put([byte for values in (pixels if offered is None else offered) for byte in values])
    await begin(dut, layer)
    while not (len(probe.cycles) > 1 and not probe.cycles[-1].image__busy):
        await RisingEdge(dut.clk)
    probe.stop()
    assert not source.queue
    payloads, sizes = image_writes(pixels, layer)
    assert probe.values("image__write__payload", "image__write__valid") == [p for beat in payloads for p in beat]
    (begun,) = probe.when("image__start")
    writes = probe.when("image__write__valid")
    assert probe.when("image__busy") == list(range(begun + 1, writes[-1] + 1))
    taken = [n for n, cycle in enumerate(probe.cycles) if cycle.image__pixels__valid and cycle.image__pixels__ready]
    complete, count, expected, chunks = [], 0, begun + 1, 1 if layer["frames"] else CHUNKS
    for size in sizes:
        count += size
        complete.append(taken[count - 1])
        expected += size if not complete[1:] else max(size, chunks)
        assert source.stall or complete[-1] == expected
    assert writes == [cycle + 1 + chunk for cycle in complete for chunk in range(chunks)]


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def random_images(dut):
    """Images and frames of one to many channels, one right after the other, with and without gaps between the items."""
    _, source = idle(dut)
    await start(dut)
    rng = generator("images")
    for stall in (0.0, 0.5):
        source.stall = stall
        for channels in (1, 2, 3, P, P + 1, 2 * P, 2 * P + 3):
            for frames in (False, True):
                await check_image(dut, source, *random_image(rng, rng.randint(1, 30), channels, frames=frames))
                await check_image(dut, source, *random_image(rng, 1, channels, frames=frames))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def pixels_wait_for_their_image(dut):
    """Bytes that come before the start are not taken, and belong to the image."""
    _, source = idle(dut)
    await start(dut)
    rng = generator("early")
    pixels, layer = random_image(rng, 5, 3)
    early, late = pixels[:2], pixels[2:]
    source.put([byte for values in early for byte in values])
    probe = Probe(dut, ["image__pixels__ready", "image__busy"])
    for _ in range(10):
        await RisingEdge(dut.clk)
    probe.stop()
    assert not any(cycle.image__pixels__ready or cycle.image__busy for cycle in probe.cycles)
    await check_image(dut, source, pixels, layer, offered=late)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_an_image(dut):
    """A reset anywhere in an image ends it; the next one is whole."""
    _, source = idle(dut)
    await start(dut)
    rng = generator("reset")
    source.stop()
    for age in range(1, 30):
        source = StreamSource(dut, "image__pixels")
        pixels, layer = random_image(rng, 6, P + 1, frames=age % 2 == 0)
        source.put([byte for values in pixels for byte in values])
        await begin(dut, layer)
        for _ in range(age):
            await RisingEdge(dut.clk)
        source.stop()
        await reset(dut, 1)
        probe = Probe(dut, ["image__busy", "image__write__valid"])
        for _ in range(2 * CHUNKS):
            await RisingEdge(dut.clk)
        probe.stop()
        assert not any(cycle.image__busy or cycle.image__write__valid for cycle in probe.cycles)
        source = StreamSource(dut, "image__pixels")
        await check_image(dut, source, *random_image(rng, 4, 3))
        source.stop()
