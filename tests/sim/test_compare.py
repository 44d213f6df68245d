"""What the hardware is expected to do, and the comparison: every kind of difference is a mismatch."""

import dataclasses

import numpy as np
import pytest

from golden.calibrate import init_model
from golden.config import ModelConfig
from golden.counts import count
from golden.data import fit_images, load_bundled
from golden.integer import run
from hw.config import HardwareConfig
from hw.counters import Counter
from hw.lowering import lower
from hw.program import Kind
from sim.compare import HardwareRun, PortRecords, compare
from sim.expected import PORTS, expect, words_read

HARDWARE = HardwareConfig(name="test", lanes=16, beat_channels=4, word_channels=16, weight_depth=8192, spike_depth=4096)
MODEL = ModelConfig(name="small", dim=24, depth=1, image_size=16, classes=7, timesteps=3)


@pytest.fixture(scope="module")
def case():
    """A lowered model, the counts of one image, and what the hardware must do with it."""
    model = init_model(MODEL, seed=7)
    lowered = lower(model, HARDWARE)
    images = fit_images(load_bundled().images[:2], channels=3, size=16)
    trace = run(model, images)
    single = images[1:]
    counts = count(MODEL, single, run(model, single), chunk_bits=HARDWARE.timesteps)
    return lowered, counts, expect(lowered, trace, images.numpy(), image=1)


@pytest.fixture
def perfect(case):
    """A run that does what is expected, in a random order."""
    lowered, _, expected = case
    random = np.random.default_rng(8)
    return HardwareRun(
        ports={port: _records(expected, port, random) for port in PORTS},
        counters=np.array(_counters(lowered, expected)),
        cycles=1,
    )


def _records(expected, port, random):
    parts = [
        (number, wanted.beats[port].base + index, beat)
        for number, wanted in enumerate(expected)
        if port in wanted.beats
        for index, beat in enumerate(wanted.beats[port].values.reshape(-1, 4, 4))
    ]
    order = random.permutation(len(parts))
    layers, addresses, values = (np.array(column)[order] for column in zip(*parts, strict=True))
    return PortRecords(layers=layers, addresses=addresses, values=values)


def _counters(lowered, expected):
    rows = []
    for number, (layer, wanted) in enumerate(zip(lowered.layers, expected, strict=True)):
        values = {Counter.STALLED: 5, Counter.IDLE: 7} | dict(wanted.counters)
        parts = values[Counter.EVENTS] + values[Counter.NULLS] + values[Counter.STALLED] + values[Counter.IDLE]
        values[Counter.CYCLES] = parts if layer.step.kind is Kind.EVENT else 100
        rows += [(number, counter, values[counter]) for counter in Counter]
    return rows


def changed(perfect, port, **columns):
    """The run with other columns in the records of a port."""
    return dataclasses.replace(
        perfect, ports={**perfect.ports, port: dataclasses.replace(perfect.ports[port], **columns)}
    )


def find(perfect, port, layer, address):
    records = perfect.ports[port]
    return int(np.nonzero((records.layers == layer) & (records.addresses == address))[0][0])


def number_of(case, name):
    return next(number for number, layer in enumerate(case[0].layers) if layer.step.name == name)


def test_counters_are_the_golden_counts(case):
    lowered, counts, expected = case
    golden = {layer.layer.name: layer for layer in counts.layers}
    for layer, wanted in zip(lowered.layers, expected, strict=True):
        if layer.step.name == "load":
            continue
        counted, groups = golden[layer.step.name], -(-layer.step.outputs // HARDWARE.lanes)
        assert wanted.counters[Counter.SOPS] == int(counted.sops.sum())
        assert wanted.counters[Counter.EVENTS] == counted.events * groups
        assert wanted.counters[Counter.WEIGHT_FETCHES] == counted.events * layer.step.outputs
    hits = sum(wanted.counters[Counter.HITS] for wanted in expected)
    assert hits == sum(int(value.sum()) for value in counts.hits.values())
    saturations = sum(wanted.counters[Counter.SATURATIONS] for wanted in expected)
    assert saturations == sum(int(value.sum()) for value in counts.saturations.values())


def test_words_read_are_those_that_the_windows_touch(case):
    lowered, _, _ = case
    for layer in lowered.layers:
        if layer.step.kind is Kind.EVENT:
            assert words_read(layer, HARDWARE) == _count_words(layer)


def _count_words(layer):
    spikes, reach = layer.step.reads, layer.step.kernel // 2
    pixel, total = -(-spikes.channels // HARDWARE.beat_channels), 0
    for plane, y, x in np.ndindex(spikes.planes, spikes.height, spikes.width):
        for row in range(max(0, y - reach), min(spikes.height, y + reach + 1)):
            columns = range(max(0, x - reach), min(spikes.width, x + reach + 1))
            pixels = [(plane * spikes.height + row) * spikes.width + column for column in columns]
            beats = [layer.input_base + pixel * index + beat for index in pixels for beat in range(pixel)]
            total += len({beat // HARDWARE.word_beats for beat in beats})
    return total


def test_a_perfect_run_has_no_mismatch(case, perfect):
    assert compare(case[0], case[2], perfect) == []


@pytest.mark.parametrize(
    ("port", "layer"),
    [
        ("spikes", "conv3"),
        ("windows", "blocks.0.q"),
        ("stream", "conv5"),
        ("mask", "blocks.0.k"),
        ("logits", "head"),
    ],
)
def test_a_wrong_value_is_found_and_named(port, layer, case, perfect):
    lowered, _, expected = case
    number = number_of(case, layer)
    beats = expected[number].beats[port]
    index = beats.values[..., 0, 0].size - 1
    values = perfect.ports[port].values.copy()
    at = find(perfect, port, number, beats.base + index)
    values[at, 1, 2] ^= 1
    [mismatch] = compare(lowered, expected, changed(perfect, port, values=values))
    _, height, width, channel_beats = beats.values.shape[:4]
    place = f"position ({height - 1}, {width - 1}), timestep 2, channel {4 * (channel_beats - 1) + 1}"
    good = int(beats.values.reshape(-1, 4, 4)[index, 1, 2])
    assert str(mismatch) == f"{layer}: {port} at {place}: expected {good}, got {good ^ 1} (1 in all)"


def test_the_first_difference_is_by_position_then_timestep_then_channel(case, perfect):
    lowered, _, expected = case
    number = number_of(case, "conv3")
    beats = expected[number].beats["spikes"]
    values = perfect.ports["spikes"].values.copy()
    for index, lane, step in ((1, 0, 2), (1, 3, 1), (0, 2, 2), (2, 1, 0)):
        values[find(perfect, "spikes", number, beats.base + 3 * 5 + index), lane, step] ^= 1
    [mismatch] = compare(lowered, expected, changed(perfect, "spikes", values=values))
    assert mismatch.place == "position (0, 5), timestep 0, channel 9"
    assert mismatch.count == 4


def test_steps_that_the_model_does_not_have(case, perfect):
    lowered, _, expected = case
    stream, spikes = perfect.ports["stream"].values.copy(), perfect.ports["spikes"].values.copy()
    stream[:, :, 3] += 1
    assert compare(lowered, expected, changed(perfect, "stream", values=stream)) == []
    at = find(perfect, "spikes", number_of(case, "conv1"), lowered.layers[1].output_base)
    spikes[at, 0, 3] ^= 1
    assert len(compare(lowered, expected, changed(perfect, "spikes", values=spikes))) == 1


@pytest.mark.parametrize(("times", "count"), [(0, "got 0"), (2, "got 2")])
def test_a_beat_that_is_missing_or_written_twice(times, count, case, perfect):
    lowered, _, expected = case
    at = find(perfect, "stream", number_of(case, "conv4"), 6 * 5 + 4)
    records = perfect.ports["stream"]
    keep = np.array([*np.delete(np.arange(len(records.layers)), at), *[at] * times])
    columns = {name: getattr(records, name)[keep] for name in ("layers", "addresses", "values")}
    [mismatch] = compare(lowered, expected, changed(perfect, "stream", **columns))
    assert str(mismatch).startswith(f"conv4: stream writes at position (1, 1), channel beat 4: expected 1, {count}")


def test_a_beat_where_none_belongs(case, perfect):
    lowered, _, expected = case
    layers = perfect.ports["mask"].layers.copy()
    layers[0] = number_of(case, "conv2")
    found = compare(lowered, expected, changed(perfect, "mask", layers=layers))
    assert [(mismatch.layer, mismatch.what) for mismatch in found] == [
        ("conv2", "mask writes"),
        ("blocks.0.k", "mask writes"),
    ]
    layers[0] = len(lowered.layers)
    assert compare(lowered, expected, changed(perfect, "mask", layers=layers))[-1].got == "1 records"


@pytest.mark.parametrize("counter", list(Counter))
def test_every_counter_of_an_event_layer_is_compared(counter, case, perfect):
    lowered, _, expected = case
    counters = perfect.counters.copy()
    chosen = (counters[:, 0] == number_of(case, "conv2")) & (counters[:, 1] == counter)
    counters[chosen, 2] += 1
    found = compare(lowered, expected, dataclasses.replace(perfect, counters=counters))
    assert found
    assert all(mismatch.layer == "conv2" and "counter" in mismatch.what for mismatch in found)


def test_a_counter_that_is_not_reported(case, perfect):
    found = compare(case[0], case[2], dataclasses.replace(perfect, counters=perfect.counters[1:]))
    assert [str(mismatch) for mismatch in found] == [
        "load: reports of counter CYCLES: expected 1, got 0 (1 in all)",
    ]
