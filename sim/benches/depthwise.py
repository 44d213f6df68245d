"""Mixing unit: its currents against the integer model's, cycle by cycle."""

from dataclasses import dataclass

import cocotb
import torch
from cocotb.triggers import ReadOnly, RisingEdge

from golden.config import ModelConfig
from golden.integer import convolve_depthwise, mix_current
from golden.tensors import LayerTensors
from hw.beats import current_layout
from hw.config import HardwareConfig
from hw.program import Target
from sim.benches.pipeline import serve_memory
from sim.benches.probe import Probe
from sim.streams import generator, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
P, T, C = CONFIG.beat_channels, CONFIG.timesteps, CONFIG.current_bits
LAYOUT = current_layout(CONFIG)
MODEL = ModelConfig(name="bench")
LATENCY = 9
BASES = {"input_base": 1000, "tap_base": 3, "params": 50}
PORTS = ("busy", "spike_enable", "spike_address", "o__valid", "o__payload", "sops")
LARGEST_ONE = 2 ** (C - 1) - 1 - 9 * 127


@dataclass(frozen=True)
class Layer:
    """Keys [T, 1, D, H, W], mask [T, 1, D], and the parameters of the convolution."""

    keys: torch.Tensor
    mask: torch.Tensor
    dwc: LayerTensors

    @property
    def beats(self) -> int:
        return self.keys.shape[2] // P

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width."""
        return self.keys.shape[3:]


def torch_generator(name: str) -> torch.Generator:
    """A generator of tensors for one purpose, derived from the bench's seed."""
    return torch.Generator().manual_seed(generator(name).getrandbits(32))


def weights(taps: torch.Tensor, one: torch.Tensor) -> LayerTensors:
    """Taps [D, 3, 3] without a bias: the neurons add it."""
    return LayerTensors(weight=taps, bias=torch.zeros(len(taps), dtype=torch.int32), one=one)


def random_layer(rng: torch.Generator, width: int, height: int, beats: int, density: float) -> Layer:
    channels = beats * P

    def spikes(*shape):
        return (torch.rand(shape, generator=rng) < density).to(torch.uint8)

    taps = torch.randint(-127, 128, (channels, 3, 3), generator=rng, dtype=torch.int8)
    one = torch.randint(1, LARGEST_ONE + 1, (channels,), generator=rng, dtype=torch.int32)
    return Layer(spikes(T, 1, channels, height, width), spikes(T, 1, channels), weights(taps, one))


def by_beat(values: torch.Tensor, beats: int) -> list[list[int]]:
    """[T, 1, D, H, W] as lists of the P * T values of every beat, channel beat by channel beat, in raster order."""
    return values.reshape(T, beats, P, -1).permute(1, 3, 2, 0).reshape(-1, P * T).tolist()


def expected_sops(layer: Layer) -> list[int]:
    """Accumulates of every beat: the windows that its spikes lie in, and the spikes under the mask."""
    channels = len(layer.dwc.weight)
    plain = weights(torch.ones(channels, 3, 3, dtype=torch.int8), torch.ones(channels, dtype=torch.int32))
    windows = convolve_depthwise(torch.ones_like(layer.keys), plain)
    masked = layer.keys & layer.mask[..., None, None]
    return [sum(beat) for beat in by_beat(layer.keys * windows + masked, layer.beats)]


def fill(memories: dict[str, dict[int, int]], layer: Layer) -> None:
    """Put a layer into the memories around the unit."""
    (height, width), beats = layer.grid, layer.beats
    spikes = by_beat(layer.keys, beats)
    memories["spike"] = {
        BASES["input_base"] + position * beats + beat: pack(spikes[beat * height * width + position], 1)
        for beat in range(beats)
        for position in range(height * width)
    }
    memories["mask"] = {beat: pack(bits, 1) for beat, bits in enumerate(by_beat(layer.mask, beats))}
    taps, ones = layer.dwc.weight.flatten(1).tolist(), layer.dwc.one.tolist()
    lanes = [pack(lane, 8) | one << 72 for lane, one in zip(taps, ones, strict=True)]
    memories["tap"] = {BASES["tap_base"] + beat: pack(lanes[beat * P :][:P], 72 + C) for beat in range(beats)}


def serve(dut) -> dict[str, dict[int, int]]:
    """Start the memories, empty; what is not there, or not asked for, reads as noise."""
    memories = {"spike": {}, "mask": {}, "tap": {}}
    rng = generator("noise")

    def reader(name):
        def read(address):
            asked = name != "spike" or dut.spike_enable.value
            noise = rng.getrandbits(len(getattr(dut, f"{name}_data")))
            return memories[name].get(address, noise) if asked else noise

        return read

    for name in memories:
        cocotb.start_soon(serve_memory(dut, name, reader(name)))
    return memories


async def begin(dut, layer: Layer) -> None:
    """Pulse start; the cycle after this is the first one of the layer."""
    height, width = layer.grid
    fields = {"width": width, "height": height, "channel_beats": layer.beats, **BASES}
    for name, value in fields.items():
        getattr(dut, name).value = value
    dut.start.value = 1
    await RisingEdge(dut.clk)
    dut.start.value = 0


async def check(dut, memories, layer: Layer) -> None:
    """Run a layer and compare every current, every count and every cycle. Ends in the cycle after the last one."""
    fill(memories, layer)
    (height, width), beats = layer.grid, layer.beats
    currents = height * width * beats
    duration = currents + width + LATENCY - 1
    await begin(dut, layer)
    probe = Probe(dut, PORTS)
    for _ in range(duration):
        await RisingEdge(dut.clk)
    probe.stop()
    # Cycle 0 of the layer is the one with `start`, the probe begins in cycle 1.
    assert probe.when("busy") == list(range(duration))
    assert probe.when("spike_enable") == list(range(currents))
    assert probe.when("o__valid") == list(range(width + LATENCY - 1, duration))
    records = [LAYOUT.from_bits(payload) for payload in probe.values("o__payload", when="o__valid")]
    places = [(beat, position) for beat in range(beats) for position in range(height * width)]
    assert [(record.channel, record.params, record.address, record.target) for record in records] == [
        (beat, BASES["params"] + beat, position * beats + beat, Target.SPIKES) for beat, position in places
    ]
    values = [[record.currents[channel][step] for channel in range(P) for step in range(T)] for record in records]
    assert values == by_beat(mix_current(MODEL, layer.dwc, layer.keys, layer.mask), beats)
    assert [cycle.sops for cycle in probe.cycles] == [0] * (width + LATENCY - 1) + expected_sops(layer)


@cocotb.test()
async def random_layers(dut):
    """All kinds of grids and channel counts, sparse and dense, the next layer right after the last."""
    await start(dut)
    memories, rng = serve(dut), torch_generator("layers")
    shapes = [(1, 1, 1), (1, 1, 4), (1, 5, 2), (6, 1, 3), (2, 2, 2), (3, 5, 1), (CONFIG.max_width, 4, 2), (8, 8, 4)]
    for width, height, beats in shapes:
        for density in (0.1, 0.5):
            await check(dut, memories, random_layer(rng, width, height, beats, density))


@cocotb.test()
async def corners(dut):
    """Silence, and everything firing with the largest and the smallest taps and mask."""
    await start(dut)
    memories, rng = serve(dut), torch_generator("corners")
    for tap in (127, -127):
        for density in (0, 1):
            layer = random_layer(rng, 3, 3, 2, density)
            extremes = weights(torch.full_like(layer.dwc.weight, tap), torch.full_like(layer.dwc.one, LARGEST_ONE))
            await check(dut, memories, Layer(layer.keys, layer.mask, extremes))


@cocotb.test()
async def idle(dut):
    """Without a start there are no reads, no currents and no counts."""
    await start(dut)
    serve(dut)
    probe = Probe(dut, PORTS)
    for _ in range(50):
        await RisingEdge(dut.clk)
    probe.stop()
    assert not any(probe.when(name) for name in ("busy", "spike_enable", "o__valid", "sops"))


@cocotb.test()
async def reset_in_flight(dut):
    """A reset drops the layer, in every phase of it; the next one is not disturbed."""
    await start(dut)
    memories, rng = serve(dut), torch_generator("reset")
    duration = 3 * 2 * 2 + 3 + LATENCY - 1
    for age in range(1, duration + 1, 3):
        fill(memories, layer := random_layer(rng, 3, 2, 2, 1))
        await begin(dut, layer)
        for _ in range(age - 1):
            await RisingEdge(dut.clk)
        await reset(dut, 1)
        await ReadOnly()
        assert not dut.busy.value
        assert not dut.o__valid.value
        assert not dut.spike_enable.value
        await RisingEdge(dut.clk)
        await check(dut, memories, random_layer(rng, 4, 3, 2, 0.5))
