"""Mixing unit: its currents against the integer model's, cycle by cycle, with other users of its memories."""

from dataclasses import dataclass
from itertools import product

import cocotb
import torch
from cocotb.triggers import ReadOnly, RisingEdge

from golden.config import ModelConfig
from golden.integer import convolve_depthwise, mix_current
from golden.tensors import LayerTensors
from hw.beats import current_layout
from hw.config import HardwareConfig
from hw.program import DESCRIPTOR_LAYOUT, Target
from sim.benches.probe import Probe
from sim.benches.served import serve
from sim.streams import generator, pack, parameters, reset, start

SPACING = parameters()["spacing"]
CONFIG = HardwareConfig(**parameters()["config"])
P, T, C, GROUP = CONFIG.beat_channels, CONFIG.timesteps, CONFIG.current_bits, CONFIG.group_beats
LAYOUT = current_layout(CONFIG)
MODEL = ModelConfig(name="bench")
READ_TO_CURRENT = 10
BASES = {"output_base": 1000, "mix_base": 40, "tap_base": 3}
PORTS = ("enable", "group", "busy", "spike_enable", "spike_address", "o__valid", "o__payload", "sops")
STILL = ("spike_enable", "tap_enable", "mask_enable", "o__valid", "sops")
LARGEST_ONE = 2 ** (C - 1) - 1 - 9 * 127


@dataclass(frozen=True)
class Layer:
    """Keys [passes * T, 1, D, H, W], mask [passes * T, 1, D], and the parameters of the convolution."""

    keys: torch.Tensor
    mask: torch.Tensor
    dwc: LayerTensors

    @property
    def beats(self) -> int:
        return self.keys.shape[2] // P

    @property
    def passes(self) -> int:
        return len(self.keys) // T

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width."""
        return self.keys.shape[3:]

    @property
    def groups(self) -> list[range]:
        """Channel beats of every group."""
        return [range(first, min(first + GROUP, self.beats)) for first in range(0, self.beats, GROUP)]

    @property
    def key_pass(self) -> int:
        """Distance of passes; longer than needed, to be seen."""
        return self.grid.numel() * self.beats + 5

    def offset(self, number: int, position: int, beat: int) -> int:
        return number * self.key_pass + position * self.beats + beat


def torch_generator(name: str) -> torch.Generator:
    """A generator of tensors for one purpose, derived from the bench's seed."""
    return torch.Generator().manual_seed(generator(name).getrandbits(32))


def weights(taps: torch.Tensor, one: torch.Tensor) -> LayerTensors:
    """Taps [D, 3, 3] without a bias: the neurons add it."""
    return LayerTensors(weight=taps, bias=torch.zeros(len(taps), dtype=torch.int32), one=one)


def random_layer(
    rng: torch.Generator, width: int, height: int, beats: int, density: float, passes: int = CONFIG.passes
) -> Layer:
    channels = beats * P

    def spikes(*shape):
        return (torch.rand(shape, generator=rng) < density).to(torch.uint8)

    taps = torch.randint(-127, 128, (channels, 3, 3), generator=rng, dtype=torch.int8)
    one = torch.randint(1, LARGEST_ONE + 1, (channels,), generator=rng, dtype=torch.int32)
    steps = passes * T
    return Layer(spikes(steps, 1, channels, height, width), spikes(steps, 1, channels), weights(taps, one))


def by_beat(values: torch.Tensor) -> list:
    """[passes * T, 1, D, H, W] as lists [pass][position][beat] of the P * T values of a beat."""
    steps, _, channels = values.shape[:3]
    return values.reshape(steps // T, T, channels // P, P, -1).permute(0, 4, 2, 3, 1).flatten(3).tolist()


def accumulates(layer: Layer) -> torch.Tensor:
    """Accumulates of every key: the windows that it lies in if it spikes, and one more under the mask."""
    channels = len(layer.dwc.weight)
    plain = weights(torch.ones(channels, 3, 3, dtype=torch.int8), torch.ones(channels, dtype=torch.int32))
    windows = convolve_depthwise(torch.ones_like(layer.keys), plain)
    return layer.keys * windows + (layer.keys & layer.mask[..., None, None])


def expected(layer: Layer, pulses: list[int]) -> tuple[dict[int, int], dict[int, tuple]]:
    """Reads and currents, by step, a cycle with enable: addresses; the fields of the record and its accumulates.

    ``pulses`` is the step after the pulse of every group.
    """
    currents, sops = by_beat(mix_current(MODEL, layer.dwc, layer.keys, layer.mask)), by_beat(accumulates(layer))
    (height, width), least = layer.grid, max(2, SPACING) if layer.passes > 1 else 2
    reads, records, step = {}, {}, 0
    for group, pulse in zip(layer.groups, pulses, strict=True):
        step = max(step, pulse) + 1
        for place, number in product(range(height * width + width + 1), range(layer.passes)):
            for index, beat in enumerate(group):
                if place < height * width:
                    reads[step + index] = BASES["output_base"] + layer.offset(number, place, beat)
                if (centre := place - width - 1) >= 0:
                    address = BASES["mix_base"] + layer.offset(number, centre, beat)
                    records[step + index + READ_TO_CURRENT] = (
                        (Target.MIX, BASES["tap_base"] + beat, address, beat, number),
                        CONFIG.state_depth - GROUP + index if CONFIG.passes > 1 else 0,
                        beat == layer.beats - 1,
                        currents[number][centre][beat],
                        sum(sops[number][centre][beat]),
                    )
            step += max(len(group), least)
    return reads, records


def observed(cycle) -> tuple:
    """The fields of a record and its accumulates, as `expected` lists them."""
    record = LAYOUT.from_bits(cycle.o__payload)
    return (
        (record.target, record.params, record.address, record.channel, record.pass_number),
        record.state,
        bool(record.last),
        [record.currents[channel][step] for channel in range(P) for step in range(T)],
        cycle.sops,
    )


class Surroundings:
    """The memories around the unit, and ``enable``, which is 1 with some probability."""

    def __init__(self, dut):
        self.dut = dut
        self.spikes: dict[int, int] = {}
        self.taps: dict[int, int] = {}
        self.masks: dict[tuple[int, int], int] = {}
        self.probability = 1.0
        self.rng = generator("surroundings")
        dut.configure.value = dut.group.value = 0
        serve(dut, "spike_", self._read_spikes, noise=self.rng, latency=2)
        serve(dut, "tap_", lambda address: self.noise("tap_data", self.taps.get(address)))
        cocotb.start_soon(self._serve_masks())
        cocotb.start_soon(self._enable())

    def noise(self, name: str, value: int | None) -> int:
        """A value, or noise where there is none."""
        return self.rng.getrandbits(len(getattr(self.dut, name))) if value is None else value

    def _read_spikes(self, address: int) -> int:
        return self.noise("spike_data", self.spikes.get(address))

    async def _serve_masks(self) -> None:
        dut, value = self.dut, 0
        while True:
            await ReadOnly()
            if dut.mask_enable.value:
                place = int(dut.mask_channel.value), int(dut.mask_pass.value)
                value = self.noise("mask_data", self.masks.get(place))
            await RisingEdge(dut.clk)
            dut.mask_data.value = value

    async def _enable(self) -> None:
        while True:
            self.dut.enable.value = int(self.rng.random() < self.probability)
            await ReadOnly()
            if not self.dut.enable.value:
                assert not any(getattr(self.dut, name).value for name in STILL), "moved without enable"
            await RisingEdge(self.dut.clk)

    async def configure(self, layer: Layer) -> None:
        """Begin a layer, whose descriptor is there for one cycle."""
        dut, (height, width) = self.dut, layer.grid
        taps, ones = layer.dwc.weight.flatten(1).tolist(), layer.dwc.one.tolist()
        lanes = [pack(lane, 8) | one << 72 for lane, one in zip(taps, ones, strict=True)]
        self.taps = {BASES["tap_base"] + beat: pack(lanes[beat * P :][:P], 72 + C) for beat in range(layer.beats)}
        self.spikes, self.masks = {}, {}
        fields = {"width": width, "height": height, "output_beats": layer.beats, "key_pass": layer.key_pass, **BASES}
        fields |= {"last_group": len(layer.groups) - 1, "last_beats": len(layer.groups[-1])}
        dut.layer.value = DESCRIPTOR_LAYOUT.const(fields | {"last_pass": layer.passes - 1}).as_bits()
        dut.configure.value = 1
        await RisingEdge(dut.clk)
        dut.configure.value = 0
        dut.layer.value = self.rng.getrandbits(len(dut.layer))

    async def complete(self, layer: Layer, group: range) -> None:
        """Put a group of keys and its mask into the memories, and say so."""
        keys, mask = by_beat(layer.keys), by_beat(layer.mask[..., None, None])
        for number, beat in product(range(layer.passes), group):
            self.masks[beat, number] = pack(mask[number][0][beat], 1)
            for position, beats in enumerate(keys[number]):
                self.spikes[BASES["output_base"] + layer.offset(number, position, beat)] = pack(beats[beat], 1)
        self.dut.group.value = 1
        await RisingEdge(self.dut.clk)
        self.dut.group.value = 0

    async def idle(self) -> None:
        """Wait until the unit is not busy."""
        await ReadOnly()
        while self.dut.busy.value:
            await RisingEdge(self.dut.clk)
            await ReadOnly()
        await RisingEdge(self.dut.clk)


async def check(around: Surroundings, layer: Layer, *, gap: int = 0) -> None:
    """Run a layer, up to ``gap`` cycles between its groups, and compare every read, current, count and cycle."""
    dut = around.dut
    await around.configure(layer)
    probe = Probe(dut, PORTS)
    for group in layer.groups:
        await around.complete(layer, group)
        for _ in range(around.rng.randint(0, gap)):
            await RisingEdge(dut.clk)
    await around.idle()
    probe.stop()
    steps = [number for number, cycle in enumerate(probe.cycles) if cycle.enable]
    pulses = [sum(step <= pulse for step in steps) for pulse in probe.when("group")]
    reads, records = expected(layer, pulses)
    moving = [probe.cycles[number] for number in steps]
    assert {number: cycle.spike_address for number, cycle in enumerate(moving) if cycle.spike_enable} == reads
    assert {number: observed(cycle) for number, cycle in enumerate(moving) if cycle.o__valid} == records
    assert sum(cycle.sops for cycle in moving) == int(accumulates(layer).sum())
    end = steps[max(records)]
    assert end == probe.when("busy")[-1]
    if gap == 0:
        assert probe.when("busy") == list(range(probe.when("group")[0] + 1, end + 1))


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def random_layers(dut):
    """All kinds of grids and channel counts, sparse and dense, whole groups and smaller ones, the next layer right
    after the last, others in between in all, many, some and no cycles."""
    await start(dut)
    around, rng = Surroundings(dut), torch_generator("layers")
    shapes = [(1, 1, 1), (1, 1, GROUP), (1, 3, 2), (4, 1, GROUP + 1), (2, 2, 3 * GROUP), (3, 4, 2 * GROUP - 1)]
    shapes += [(CONFIG.max_width, 3, 2), (3, 3, 1)]
    for width, height, beats in shapes:
        for around.probability, density in ((1.0, 0.5), (0.9, 0.2), (0.5, 0.8), (0.1, 0.5)):
            await check(around, random_layer(rng, width, height, beats, density))


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def late_groups(dut):
    """Groups that come while another one is mixed, and after it; layers of one pass on hardware for more."""
    await start(dut)
    around, rng = Surroundings(dut), torch_generator("late")
    for around.probability in (1.0, 0.5):
        for passes in {1, CONFIG.passes}:
            await check(around, random_layer(rng, 3, 2, 4 * GROUP + 2, 0.5, passes), gap=250)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def corners(dut):
    """Silence, and everything firing with the largest and the smallest taps and mask."""
    await start(dut)
    around, rng = Surroundings(dut), torch_generator("corners")
    for tap in (127, -127):
        for density in (0, 1):
            layer = random_layer(rng, 3, 3, 2, density)
            extremes = weights(torch.full_like(layer.dwc.weight, tap), torch.full_like(layer.dwc.one, LARGEST_ONE))
            await check(around, Layer(layer.keys, layer.mask, extremes))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def idle(dut):
    """Without a group there are no reads, no currents and no counts."""
    await start(dut)
    around = Surroundings(dut)
    await around.configure(random_layer(torch_generator("idle"), 3, 3, 2, 1))
    probe = Probe(dut, PORTS)
    for _ in range(50):
        await RisingEdge(dut.clk)
    probe.stop()
    assert not any(probe.when(name) for name in ("busy", "spike_enable", "o__valid", "sops"))


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_flight(dut):
    """A reset drops the layer, in every phase of it; the next one is not disturbed."""
    await start(dut)
    around, rng = Surroundings(dut), torch_generator("reset")
    for age in range(1, 70, 3):
        around.probability = 1.0
        layer = random_layer(rng, 3, 2, GROUP + 1, 1)
        await around.configure(layer)
        for group in layer.groups:
            await around.complete(layer, group)
        for _ in range(age):
            await RisingEdge(dut.clk)
        await reset(dut, 1)
        await ReadOnly()
        assert not dut.busy.value
        assert not any(getattr(dut, name).value for name in STILL)
        await RisingEdge(dut.clk)
        around.probability = 0.8
        await check(around, random_layer(rng, 2, 2, 2, 0.5))
