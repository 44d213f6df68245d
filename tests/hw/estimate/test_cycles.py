"""The analytic model: its traffic against the expected counters, its cycles against what the parts must add up to."""

import dataclasses

import numpy as np
import pytest
import torch

from golden.calibrate import init_model
from golden.config import Input, ModelConfig
from golden.integer import Trace, run
from hw.compile.allocate import allocate, spike_words
from hw.compile.lowering import lower
from hw.compile.schedule import schedule
from hw.config import HardwareConfig
from hw.counters import Counter
from hw.estimate.activity import Rate, expect, input_spikes, measure
from hw.estimate.cycles import BEGIN, DESCRIBED, REPORT, estimate
from hw.estimate.timelines import ExternalMemory
from hw.program import Kind, descriptor_words
from sim.expected import BACKGROUND
from sim.expected import expect as expected_work

CONFIG = HardwareConfig(
    name="test", lanes=16, bus_bytes=4, beat_channels=4, word_channels=16, passes=4, spike_depth=8192
)
MODEL = ModelConfig(name="small", dim=32, depth=2, image_size=16)
FRAMES = dataclasses.replace(MODEL, input=Input.EVENTS, in_channels=2, timesteps=7)


class Case:
    """A model, what it does with one image, and its steps."""

    def __init__(self, config, hardware=CONFIG):
        self.config, self.hardware = config, hardware
        self.model = init_model(config, seed=2)
        shape = (3, 16, 16) if config.input is Input.PIXELS else (config.timesteps, 2, 16, 16)
        limit = 256 if config.input is Input.PIXELS else 2
        self.images = torch.randint(limit, (1, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
        self.trace = run(self.model, self.images)
        self.steps = schedule(self.model, hardware)
        self.activity = measure(self.steps, self.trace, self.images.numpy(), config, hardware)

    def estimate(self, **memory):
        return estimate(self.steps, self.activity, self.hardware, ExternalMemory(**memory))

    def rated(self, rates):
        activity = expect(self.steps, {step.name: rates for step in self.steps}, self.config, self.hardware)
        return estimate(self.steps, activity, self.hardware)


@pytest.fixture(scope="module")
def pixels():
    return Case(MODEL)


@pytest.fixture(scope="module")
def frames():
    return Case(FRAMES)


@pytest.mark.parametrize("name", ["pixels", "frames"])
def test_traffic_is_what_the_counters_must_say(name, request):
    case = request.getfixturevalue(name)
    lowered = lower(case.model, case.hardware)
    expected = expected_work(lowered, case.trace, case.images.numpy(), image=0)
    mixed = {counter: 0 for counter in BACKGROUND}
    for layer, work in zip(case.estimate().layers, expected, strict=True):
        counters = work.counters
        event = {
            Counter.EVENTS: layer.events,
            Counter.SOPS: layer.sops,
            Counter.WEIGHT_FETCHES: layer.traffic.weight_fetches,
        }
        for counter, value in {
            **event,
            Counter.SPIKE_READS: layer.traffic.spike_reads,
            Counter.SPIKE_WRITES: layer.traffic.spike_writes,
            Counter.STREAM_READS: layer.traffic.stream_reads,
            Counter.STREAM_WRITES: layer.traffic.stream_writes,
        }.items():
            assert value == counters[counter], (layer.name, counter)
        for counter in (Counter.MIX_READS, Counter.MIX_WRITES):
            mixed[counter] += work.shared.get(counter, 0)
    layers = case.estimate().layers
    assert sum(layer.traffic.mix_reads for layer in layers) == mixed[Counter.MIX_READS]
    assert sum(layer.traffic.mix_writes for layer in layers) == mixed[Counter.MIX_WRITES]
    assert sum(layer.traffic.external_bytes for layer in layers) == lowered.program.size - _described(lowered)


def _described(lowered):
    """Bytes of the descriptors, which belong to no layer."""
    return len(next(lowered.program.sections()).data)


@pytest.mark.parametrize("name", ["pixels", "frames"])
def test_the_layers_follow_each_other(name, request):
    case = request.getfixturevalue(name)
    result, words = case.estimate(bandwidth=1.0, latency=10), descriptor_words(case.hardware)
    time = (1 + len(case.steps) * words) * case.hardware.bus_bytes / 1.0 + 10 + DESCRIBED
    for layer in result.layers:
        assert layer.start == pytest.approx(time + words + BEGIN)
        assert layer.cycles == pytest.approx(layer.ideal + layer.lost.total)
        assert min(vars(layer.lost).values()) >= 0
        time = layer.start + layer.cycles + REPORT
    assert result.cycles == pytest.approx(time)
    assert result.ideal == sum(layer.ideal for layer in result.layers)


def test_maps_fit_the_memory_that_allocation_needs(pixels):
    words = max(layer.spike_words for layer in pixels.estimate().layers)
    needed = spike_words(pixels.steps, allocate(pixels.steps, CONFIG), CONFIG)
    assert needed / 2 < words <= needed


def test_weights_bind_where_the_memory_is_slow(pixels):
    fast, slow = pixels.estimate(latency=0, bandwidth=4), pixels.estimate(bandwidth=0.04)
    assert fast.limit == "adders"
    assert slow.limit == "external"
    assert slow.cycles > lower(pixels.model, CONFIG).program.size / 0.04
    assert fast.cycles < pixels.estimate(latency=2000, bandwidth=4).cycles
    assert sum(layer.lost.external for layer in slow.layers) > slow.cycles / 2


def test_a_larger_ring_waits_less(pixels):
    cycles = []
    for depth in (512, 1024, 2048):
        config = dataclasses.replace(CONFIG, weight_depth=depth)
        cycles.append(estimate(pixels.steps, pixels.activity, config, ExternalMemory(latency=200, bandwidth=4)).cycles)
    assert cycles[0] > cycles[1] >= cycles[2]


def test_silence_costs_the_interval_of_the_drain_and_noise_the_events(pixels):
    silent, noisy = pixels.rated(Rate(rate=0.0)), pixels.rated(Rate(rate=1.0))
    for layer in silent.layers:
        assert (layer.ideal == 0) == (layer.kind == "event")
        assert layer.limit != "adders"
    conv5 = next(number for number, step in enumerate(pixels.steps) if step.name == "conv5")
    # Two groups of four beats: they leave in four cycles, and after each of the four tiles of four positions come three
    # planes of counts and a gap. The first position waits for no one.
    assert silent.layers[conv5].lost.drain == 2 * (12 * 4 + 4 * (4 * 4 + 3)) - (4 * 4 + 3) + 1
    dense = pixels.steps[conv5]
    assert noisy.layers[conv5].ideal == 2 * 32 * (4 * 4 * 9 - 4 * 3 * 4 + 4) == 2 * pixels.activity[conv5].inputs.sum()
    assert noisy.layers[conv5].sops == dense.outputs * 4 * pixels.activity[conv5].inputs.sum()
    assert noisy.limit == "adders"


@pytest.mark.parametrize("rate", [0.01, 0.08, 0.4])
def test_rates_give_what_random_spikes_give(pixels, rate):
    generator = torch.Generator().manual_seed(5)
    values = {
        name: (torch.rand(value.shape, generator=generator) < rate).to(torch.uint8)
        for name, value in pixels.trace.values.items()
    }
    images = sum(
        (torch.rand(pixels.images.shape, generator=generator) < rate).to(torch.uint8) << bit for bit in range(8)
    )
    trace = Trace(values=values, saturations={})
    activity = measure(pixels.steps, trace, images.numpy(), MODEL, CONFIG)
    measured, expected = estimate(pixels.steps, activity, CONFIG), pixels.rated(Rate(rate=rate))
    assert expected.cycles == pytest.approx(measured.cycles, rel=0.03)


def test_events_of_frames_come_pass_by_pass(frames):
    step = frames.steps[1]
    spikes = input_spikes(step.reads, frames.trace, frames.images.numpy(), FRAMES, CONFIG, image=0)
    assert spikes.shape == (1, 2, 4, 2, 16, 16)
    assert not spikes[:, 1, 3].any()
    np.testing.assert_array_equal(spikes[0].reshape(8, 2, 16, 16)[:7], frames.images[0].numpy())


def test_every_kind_of_layer_is_estimated(pixels):
    assert {layer.kind for layer in pixels.estimate().layers} == {kind.name.lower() for kind in Kind}
