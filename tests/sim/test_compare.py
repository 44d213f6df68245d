"""What the hardware is expected to do, and the comparison: every kind of difference is a mismatch."""

import dataclasses

import numpy as np
import pytest

from golden.calibrate import init_model
from golden.config import ModelConfig
from golden.counts import count
from golden.data import fit_images, load_bundled
from golden.events import random_frames
from golden.integer import run
from hw.compile.lowering import lower
from hw.config import HardwareConfig
from hw.counters import Counter
from hw.program import Kind
from sim.compare import HardwareRun, PortRecords, compare
from sim.expected import BACKGROUND, PORTS, expect

HARDWARE = HardwareConfig(
    name="test", lanes=16, bus_bytes=4, beat_channels=4, word_channels=16, spike_depth=8192, passes=2, channel_depth=10
)
MODEL = ModelConfig(name="small", dim=24, depth=1, image_size=16, classes=7, timesteps=3)
EVENTS = dataclasses.replace(MODEL, input="events", in_channels=2, timesteps=7)
PIXELS = dataclasses.replace(MODEL, timesteps=6)


def make_case(config, images, *, pooled_query=True):
    """A lowered model, the counts of the second image, and what the hardware must do with it."""
    model = init_model(config, seed=7)
    lowered = lower(model, HARDWARE, pooled_query=pooled_query)
    trace, single = run(model, images), images[1:]
    counts = count(config, single, run(model, single), parallel=HARDWARE.timesteps, pooled_query=pooled_query)
    return lowered, counts, expect(lowered, trace, images.numpy(), image=1)


@pytest.fixture(scope="module")
def images():
    return fit_images(load_bundled().images[:2], channels=3, size=16)


@pytest.fixture(scope="module")
def case(images):
    """One pass, with a pooled query."""
    return make_case(MODEL, images)


@pytest.fixture(scope="module")
def long():
    """Two passes of events."""
    return make_case(EVENTS, random_frames(EVENTS, 2).images)


@pytest.fixture(scope="module", params=["case", "long", "pixels", "tokens"])
def each(request, images):
    """Every kind of model in turn."""
    match request.param:
        case "pixels":
            return make_case(PIXELS, images)
        case "tokens":
            return make_case(MODEL, images, pooled_query=False)
    return request.getfixturevalue(request.param)


@pytest.fixture
def perfect(case):
    """A run that does what is expected, in a random order."""
    return perfect_run(case)


def perfect_run(case):
    lowered, _, expected = case
    random = np.random.default_rng(8)
    return HardwareRun(
        ports={port: _records(expected, port, random) for port in PORTS},
        counters=np.array(_counters(lowered, expected)),
        cycles=1,
    )


def _records(expected, port, random):
    parts = [
        (number, address, beat)
        for number, wanted in enumerate(expected)
        for beats in wanted.beats.get(port, ())
        for address, beat in zip(beats.addresses.ravel(), beats.values.reshape(-1, 4, 4), strict=True)
    ]
    order = random.permutation(len(parts))
    layers, addresses, values = (np.array(column)[order] for column in zip(*parts, strict=True))
    return PortRecords(layers=layers, addresses=addresses, values=values)


def _counters(lowered, expected):
    rows, shared = [], {}
    words = lowered.program.size // lowered.config.bus_bytes
    for number, (layer, wanted) in enumerate(zip(lowered.layers, expected, strict=True)):
        # Of what two layers share, the first one has 5 and the second one the rest.
        values = {Counter.STALLED: 5, Counter.IDLE: 7, Counter.WAITING: 7, Counter.BUS_WORDS: number == 3 and words}
        values |= dict.fromkeys(wanted.shared, 5) | shared | dict(wanted.counters)
        shared = {counter: value - 5 for counter, value in wanted.shared.items()}
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


def test_counters_are_the_golden_counts(each):
    lowered, counts, expected = each
    golden = {layer.layer.name: layer for layer in counts.layers}
    for layer, wanted in zip(lowered.layers, expected, strict=True):
        if layer.step.name == "load":
            continue
        counted, groups = golden[layer.step.name], -(-layer.step.outputs // HARDWARE.lanes)
        assert wanted.counters[Counter.SOPS] == int(counted.sops.sum())
        assert wanted.counters[Counter.EVENTS] == counted.events * groups
        assert wanted.counters[Counter.WEIGHT_FETCHES] == counted.events * layer.step.outputs
        if layer.step.mix:
            assert wanted.shared[Counter.MIX_SOPS] == int(golden[layer.step.mix.name].sops.sum())
    hits = sum(wanted.counters[Counter.HITS] for wanted in expected)
    assert hits == sum(int(value.sum()) for value in counts.hits.values())
    saturations = sum(wanted.counters[Counter.SATURATIONS] for wanted in expected)
    assert saturations == sum(int(value.sum()) for value in counts.saturations.values())


def test_words_read_are_those_that_the_windows_touch(each):
    lowered, _, expected = each
    for layer, wanted in zip(lowered.layers, expected, strict=True):
        if layer.step.kind is Kind.EVENT:
            repeats = layer.step.passes // layer.step.reads.passes * -(-layer.step.outputs // HARDWARE.lanes)
            assert wanted.counters[Counter.SPIKE_READS] == repeats * _count_words(layer)


def _count_words(layer):
    spikes, reach = layer.step.reads, layer.step.kernel // 2
    pixel, total = -(-spikes.channels // HARDWARE.beat_channels), 0
    for plane, y, x in np.ndindex(spikes.planes * spikes.passes, spikes.height, spikes.width):
        for row in range(max(0, y - reach), min(spikes.height, y + reach + 1)):
            columns = range(max(0, x - reach), min(spikes.width, x + reach + 1))
            pixels = [(plane * spikes.height + row) * spikes.width + column for column in columns]
            beats = [layer.input_base + pixel * index + beat for index in pixels for beat in range(pixel)]
            total += len({beat // HARDWARE.word_beats for beat in beats})
    return total


def test_no_two_beats_of_a_layer_have_one_place(each):
    for wanted in each[2]:
        for parts in wanted.beats.values():
            addresses = np.concatenate([beats.addresses.ravel() for beats in parts])
            assert len(np.unique(addresses)) == len(addresses)


def test_where_the_beats_of_passes_belong(long):
    lowered, _, expected = long
    wanted = expected[number_of(long, "blocks.0.k")]
    layer = lowered.layers[number_of(long, "blocks.0.k")]
    tokens, beats = 16, 6
    for port, base in (("spikes", layer.output_base), ("mixed", layer.mix_base)):
        [keys] = wanted.beats[port]
        assert keys.values.shape == (1, 2, 4, 4, beats, 4, 4)
        assert keys.addresses[0, 1, 2, 3, 4] == base + (tokens + 2 * 4 + 3) * beats + 4
    [mask] = wanted.beats["mask"]
    assert mask.addresses.ravel().tolist() == [*range(6), *range(16, 22)]
    [aggregates] = wanted.beats["windows"]
    assert aggregates.addresses[0, 1, 1, 0, 2] == (4 + 2) * beats + 2


def test_counts_are_window_sums_bit_by_bit(long):
    lowered, _, expected = long
    number = number_of(long, "conv5")
    spikes, counts = expected[number].beats["spikes"]
    assert (spikes.name, counts.name) == ("blocks.0.input", "blocks.0.counts")
    assert counts.values.shape == (3, 2, 2, 2, 6, 4, 4)
    assert counts.addresses.min() == lowered.layers[number].count_base
    bits = sum(plane << 2 - index for index, plane in enumerate(counts.values))
    windows = spikes.values[0].reshape(2, 2, 2, 2, 2, 6, 4, 4).sum(axis=(2, 4))
    np.testing.assert_array_equal(bits, windows)


def test_a_perfect_run_has_no_mismatch(each):
    assert compare(each[0], each[2], perfect_run(each)) == []


@pytest.mark.parametrize(
    ("port", "layer"),
    [
        ("spikes", "conv3"),
        ("mixed", "blocks.0.k"),
        ("windows", "blocks.0.q"),
        ("stream", "conv5"),
        ("mask", "blocks.0.k"),
        ("logits", "head"),
    ],
)
def test_a_wrong_value_is_found_and_named(port, layer, long):
    lowered, _, expected = long
    number = number_of(long, layer)
    [beats] = expected[number].beats[port]
    perfect = perfect_run(long)
    values = perfect.ports[port].values.copy()
    at = find(perfect, port, number, beats.addresses.max())
    values[at, 1, 2] ^= 1
    [mismatch] = compare(lowered, expected, changed(perfect, port, values=values))
    _, _, height, width, channel_beats = beats.values.shape[:5]
    place = f"position ({height - 1}, {width - 1}), timestep 6, channel {4 * (channel_beats - 1) + 1}"
    good = int(beats.values[-1, -1, -1, -1, -1, 1, 2])
    assert str(mismatch) == f"{layer}: {port} at {place}: expected {good}, got {good ^ 1} (1 in all)"


def test_a_wrong_count_of_spikes(case, perfect):
    lowered, _, expected = case
    number = number_of(case, "conv5")
    values = perfect.ports["spikes"].values.copy()
    beats = expected[number].beats["spikes"][1]
    values[find(perfect, "spikes", number, beats.addresses[1, 0, 0, 1, 2]), 3, 0] ^= 1
    [mismatch] = compare(lowered, expected, changed(perfect, "spikes", values=values))
    assert str(mismatch).startswith("conv5: counts of spikes at plane 1, position (0, 1), timestep 0, channel 11: ")


def test_the_first_difference_is_by_position_then_timestep_then_channel(case, perfect):
    lowered, _, expected = case
    number = number_of(case, "conv3")
    base = lowered.layers[number].output_base
    values = perfect.ports["spikes"].values.copy()
    for index, lane, step in ((1, 0, 2), (1, 3, 1), (0, 2, 2), (2, 1, 0)):
        values[find(perfect, "spikes", number, base + 3 * 5 + index), lane, step] ^= 1
    [mismatch] = compare(lowered, expected, changed(perfect, "spikes", values=values))
    assert mismatch.place == "position (0, 5), timestep 0, channel 9"
    assert mismatch.count == 4


def test_steps_that_the_model_does_not_have(long):
    lowered, _, expected = long
    perfect, number = perfect_run(long), number_of(long, "conv5")
    stream, spikes = perfect.ports["stream"].values.copy(), perfect.ports["spikes"].values.copy()
    last = perfect.ports["stream"].addresses >= 16 * 6
    stream[last, :, 3] += 1
    assert compare(lowered, expected, changed(perfect, "stream", values=stream)) == []
    stream[~last, :, 3] += 1
    assert {mismatch.what for mismatch in compare(lowered, expected, changed(perfect, "stream", values=stream))} == {
        "stream"
    }
    at = find(perfect, "spikes", number, lowered.layers[number].output_base + 16 * 6)
    spikes[at, 0, 3] ^= 1
    [mismatch] = compare(lowered, expected, changed(perfect, "spikes", values=spikes))
    assert mismatch.place == "position (0, 0), timestep 7, channel 0"


@pytest.mark.parametrize(("times", "count"), [(0, "got 0"), (2, "got 2")])
def test_a_beat_that_is_missing_or_written_twice(times, count, case, perfect):
    lowered, _, expected = case
    at = find(perfect, "stream", number_of(case, "conv4"), 6 * 5 + 4)
    records = perfect.ports["stream"]
    keep = np.array([*np.delete(np.arange(len(records.layers)), at), *[at] * times])
    columns = {name: getattr(records, name)[keep] for name in ("layers", "addresses", "values")}
    [mismatch] = compare(lowered, expected, changed(perfect, "stream", **columns))
    assert str(mismatch).startswith(
        f"conv4: stream writes at stream.conv4, position (1, 1), channel beat 4: expected 1, {count}"
    )


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
    layer = "program image" if counter is Counter.BUS_WORDS else "conv2"
    assert found
    assert all(mismatch.layer == layer and "counter" in mismatch.what for mismatch in found)


@pytest.mark.parametrize("counter", BACKGROUND)
@pytest.mark.parametrize("layer", ["blocks.0.k", "blocks.0.proj"])
def test_mixing_is_compared_over_two_layers(counter, layer, case, perfect):
    lowered, _, expected = case
    counters = perfect.counters.copy()
    chosen = (counters[:, 0] == number_of(case, layer)) & (counters[:, 1] == counter)
    counters[chosen, 2] += 1
    [mismatch] = compare(lowered, expected, dataclasses.replace(perfect, counters=counters))
    assert (mismatch.layer, mismatch.what) == ("blocks.0.k", f"counter {counter.name} of this layer and the next")


def test_a_counter_that_is_not_reported(case, perfect):
    found = compare(case[0], case[2], dataclasses.replace(perfect, counters=perfect.counters[1:]))
    assert [str(mismatch) for mismatch in found] == [
        "load: reports of counter CYCLES: expected 1, got 0 (1 in all)",
    ]
