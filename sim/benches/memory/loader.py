"""The loaders: a program into its memories, pixels into bit-planes."""

import random

import cocotb
from cocotb.triggers import RisingEdge

from hw.config import HardwareConfig
from hw.memory.loader import COUNT_BITS
from hw.program import DESCRIPTOR_LAYOUT, Memory, memory_shapes
from sim.benches.probe import Probe
from sim.streams import StreamSource, generator, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
P, T, CHUNKS = CONFIG.beat_channels, CONFIG.timesteps, CONFIG.chunks
ADDRESS_BITS = 24
WIDTHS = {memory: width for memory, (width, _) in memory_shapes(CONFIG).items()}
PROGRAM_PORTS = [f"program__{memory.name.lower()}__{signal}" for memory in WIDTHS for signal in ("valid", "payload")]
IMAGE_PORTS = [f"image__{name}" for name in ("start", "busy", "write__valid", "write__payload", "pixels__valid")]


def idle(dut) -> tuple[StreamSource, StreamSource]:
    """Sources of program words and pixels, all inputs at rest."""
    dut.image__start.value = dut.image__layer.value = 0
    return StreamSource(dut, "program__words"), StreamSource(dut, "image__pixels")


def random_section(rng: random.Random, code: int) -> tuple[list[int], list[tuple[int, Memory, int]]]:
    """The words of a section, and the writes they should cause: (word, memory, payload)."""
    count = rng.choice((0, 1, 2, rng.randrange(12)))
    words, writes = [code << COUNT_BITS | count], []
    for address in range(count):
        width = WIDTHS.get(code, 32)
        entry = rng.choice((0, 2**width - 1, rng.getrandbits(width)))
        words += [entry >> 32 * index & 0xFFFFFFFF for index in range(-(-width // 32))]
        if code in WIDTHS:
            writes.append((len(words) - 1, Memory(code), address | entry << ADDRESS_BITS))
    return words, writes


def random_program(rng: random.Random, sections: int) -> tuple[list[int], list[tuple[int, Memory, int]]]:
    """Sections for every code in any order, known or not."""
    words, writes = [], []
    for _ in range(sections):
        code = rng.choice((*Memory, *Memory, len(Memory), 15))
        more, caused = random_section(rng, code)
        writes += [(len(words) + word, memory, payload) for word, memory, payload in caused]
        words += more
    return words, writes


async def check_program(dut, source: StreamSource, words: list[int], writes: list[tuple[int, Memory, int]]):
    """Load words and compare the writes, each in the cycle of its last word."""
    probe = Probe(dut, [*PROGRAM_PORTS, "program__words__valid", "program__words__ready"])
    source.put(words)
    await source.drained()
    probe.stop()
    assert all(cycle.program__words__ready for cycle in probe.cycles)
    taken = probe.when("program__words__valid")
    if not source.stall:
        assert taken == list(range(taken[0], taken[0] + len(words)))
    seen = []
    for number, cycle in enumerate(probe.cycles):
        for memory in WIDTHS:
            if getattr(cycle, f"program__{memory.name.lower()}__valid"):
                seen.append((number, memory, getattr(cycle, f"program__{memory.name.lower()}__payload")))
    assert seen == [(taken[word], memory, payload) for word, memory, payload in writes]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_programs(dut):
    """Sections of all memories, empty ones, unknown ones, with and without gaps, one right after the other."""
    source, _ = idle(dut)
    await start(dut)
    rng = generator("programs")
    for stall in (0.0, 0.5):
        source.stall = stall
        for _ in range(8):
            await check_program(dut, source, *random_program(rng, rng.randint(1, 12)))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_an_entry(dut):
    """A reset between any two words of a section makes the next word a header."""
    source, _ = idle(dut)
    await start(dut)
    rng = generator("reset")
    words = [Memory.TAPS << COUNT_BITS | 2, *([0xFFFFFFFF] * (2 * -(-WIDTHS[Memory.TAPS] // 32)))]
    for count in range(1, len(words)):
        source.put(words[:count])
        await source.drained()
        await reset(dut)
        await check_program(dut, source, *random_program(rng, 2))


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
                    address + chunk * layer["plane_beats"] | pack([p[chunk] for p in patterns], T) << ADDRESS_BITS
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
    complete, count, expected, chunks = [], 0, begun, 1 if layer["frames"] else CHUNKS
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
