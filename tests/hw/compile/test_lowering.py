"""Lowering: addresses, memory images, and every limit of the hardware."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from golden.calibrate import init_model
from golden.config import ModelConfig
from golden.errors import SaformerError
from golden.integer import IntegerModel
from hw.compile.allocate import allocate, map_beats
from hw.compile.choose import lower_for
from hw.compile.limits import check_fields
from hw.compile.lowering import loop_counts, loop_steps, lower
from hw.compile.pack import block_sections, neuron_beats, tap_beats, weight_rows
from hw.compile.schedule import Neurons, schedule
from hw.config import HARDWARE, HardwareConfig
from hw.program import LEVELS, Kind, Layer, Memory, Target, params_layout, taps_layout

HARDWARE_CONFIG = HardwareConfig(
    name="test", lanes=16, bus_bytes=4, word_channels=16, weight_depth=512, spike_depth=4096
)
MODEL = ModelConfig(name="small", dim=24, depth=2, image_size=16, classes=7)


@pytest.fixture(scope="module")
def model():
    return init_model(MODEL, seed=3)


@pytest.fixture(scope="module")
def lowered(model):
    return lower(model, HARDWARE_CONFIG)


@pytest.fixture(scope="module", params=[True, False], ids=["pooled", "tokens"])
def in_passes(request):
    """A model of ten timesteps on hardware with four."""
    long = init_model(dataclasses.replace(MODEL, timesteps=10), seed=3)
    return lower(long, dataclasses.replace(HARDWARE_CONFIG, passes=3), pooled_query=request.param)


@pytest.mark.parametrize("name", sorted(HARDWARE.keys() - {"little"}))
@pytest.mark.parametrize("dim", [48, 64, 96])
def test_every_named_hardware_takes_small_networks(name, dim):
    config = HARDWARE[name]
    deep = init_model(ModelConfig(name="deep", dim=dim, depth=3, windows=64), seed=0)
    if name.startswith("default") and dim > 64:
        # No larger than it has to be for its networks: the next one is taken.
        with pytest.raises(SaformerError, match="raise stream_depth to 6144"):
            lower(deep, config)
        assert lower_for(deep, None).config.name == "paper"
        return
    program = lower(deep, config).program
    assert max(layer.fields.get("weight_rows", 0) for layer in program.layers) <= config.weight_depth


def test_the_little_hardware_takes_what_it_is_for():
    model = init_model(ModelConfig(name="micro", dim=24, depth=1, image_size=16, timesteps=4), seed=0)
    assert lower(model, HARDWARE["little"]).layers[-1].step.passes == 2


@pytest.mark.parametrize(("timesteps", "pooled"), [(4, True), (16, True), (16, False)])
def test_maps_never_overlap_while_they_are_needed(timesteps, pooled):
    config = dataclasses.replace(HARDWARE_CONFIG, passes=4)
    deep = init_model(dataclasses.replace(MODEL, timesteps=timesteps), seed=1)
    steps = schedule(deep, config, pooled_query=pooled)
    bases = allocate(steps, config)
    maps = {written.name: written for step in steps for written in step.written}
    born = {written.name: number for number, step in enumerate(steps) for written in step.written}
    dies = {name: _last_use(steps, name) for name in maps}
    assert set(bases) == set(maps)
    for one, other in itertools.combinations(maps, 2):
        together = born[one] <= dies[other] and born[other] <= dies[one]
        ends = [bases[name] + map_beats(maps[name], config) for name in (one, other)]
        apart = ends[0] <= bases[other] or ends[1] <= bases[one]
        assert apart or not together, (one, other)
    assert all(base % config.word_beats == 0 for base in bases.values())


def _last_use(steps, name):
    """The last step that reads a map; keys are read by the mixing unit until the projection has ended."""
    if name.endswith(".k"):
        return next(number for number, step in enumerate(steps) if step.name == f"{name.removesuffix('k')}proj")
    return max(number for number, step in enumerate(steps) if step.reads and step.reads.name == name)


def test_memory_is_used_again(model):
    steps = schedule(model, HARDWARE_CONFIG)
    bases = allocate(steps, HARDWARE_CONFIG)
    maps = [written for step in steps for written in step.written]
    end = max(bases[spikes.name] + map_beats(spikes, HARDWARE_CONFIG) for spikes in maps)
    assert end < sum(map_beats(spikes, HARDWARE_CONFIG) for spikes in maps) / 2


def test_blocks_follow_each_other_in_the_order_of_execution(lowered):
    blocks, counts = list(lowered.program.blocks), dict.fromkeys(Memory, 0)
    for layer in lowered.program.layers:
        fields = layer.fields
        for memory, base in ((Memory.WEIGHTS, "weight_base"), (Memory.PARAMS, "position_params")):
            assert fields[base] == counts[memory], layer.name
        if fields.get("mixed"):
            assert fields["tap_base"] == counts[Memory.TAPS] == counts[Memory.MIXES]
        for group in range(fields.get("last_group", 0) + 1 if layer.name != "load" else 0):
            block = blocks.pop(0)
            assert (block.layer, block.group) == (layer.name, group)
            assert len(block.weights) == fields.get("weight_rows", 0)
            counts[Memory.WEIGHTS] += len(block.weights)
            for memory, values in block.entries.items():
                counts[memory] += len(values)
            if len(block.weights):
                assert len(block.entries[Memory.PARAMS]) == fields["group_params"]
    assert not blocks
    assert counts[Memory.WEIGHTS] == lowered.program.rows


def test_the_size_of_blocks_is_known_before_they_are_packed(model, lowered):
    sizes = [size for step in schedule(model, lowered.config) for size in block_sections(step, lowered.config)]
    packed = [
        {memory: len(values) for memory, values in block.entries.items()}
        | ({Memory.WEIGHTS: len(block.weights)} if len(block.weights) else {})
        for block in lowered.program.blocks
    ]
    assert sizes == packed


def test_taps_are_freed_by_the_layer_that_reads_what_is_mixed(lowered):
    kept = 0
    for layer in lowered.program.layers:
        if layer.fields.get("mixed"):
            assert kept == 0
            kept = layer.fields["output_beats"]
        if layer.fields.get("awaits_mix"):
            assert layer.fields["free_taps"] == kept
            kept = 0
    assert kept == 0


def test_the_query_reads_window_sums_or_tokens(model):
    pooled, tokens = (schedule(model, HARDWARE_CONFIG, pooled_query=choice) for choice in (True, False))
    counts = {step.name: step.counts.name for step in pooled if step.counts}
    assert counts == {"conv5": "blocks.0.counts", "blocks.0.fc2": "blocks.1.counts"}
    query = {step.name: step for step in pooled}["blocks.1.q"]
    assert (query.reads.positions, query.reads.planes) == (MODEL.windows, 3)
    assert not any(step.counts for step in tokens)
    assert {step.name: step for step in tokens}["blocks.1.q"].reads.positions == MODEL.tokens


def test_windows_of_one_token_are_not_pooled():
    every = init_model(dataclasses.replace(MODEL, windows=16), seed=0)
    assert not any(step.counts for step in schedule(every, HARDWARE_CONFIG))


def test_every_weight_has_its_row_and_lane():
    weights = np.random.default_rng(4).integers(-127, 128, (21, 6, 3, 3)).astype(np.int8)
    rows = weight_rows(weights, HARDWARE_CONFIG)
    slots = 8
    assert rows.shape == (2 * 9 * slots, 16)
    for output, channel, y, x in np.ndindex(weights.shape):
        group, lane = divmod(output, 16)
        assert rows[group * 9 * slots + (3 * y + x) * slots + channel, lane] == weights[output, channel, y, x]
    assert np.count_nonzero(rows) == np.count_nonzero(weights)


def test_parameters_and_their_padding():
    neurons = Neurons(bias=np.arange(-2, 4), threshold=np.arange(100, 106), shift=np.arange(6) % 4)
    first, second = (params_layout(HARDWARE_CONFIG).from_bits(beat) for beat in neuron_beats(neurons, HARDWARE_CONFIG))
    assert [(c.bias, c.threshold, c.shift) for c in first] == [(-2, 100, 0), (-1, 101, 1), (0, 102, 2), (1, 103, 3)]
    silent = (0, 2**23 - 1, 0)
    assert [(c.bias, c.threshold, c.shift) for c in second] == [(2, 104, 0), (3, 105, 1), silent, silent]


def test_taps_and_their_padding():
    taps = np.random.default_rng(5).integers(-127, 128, (5, 9))
    beats = [taps_layout(HARDWARE_CONFIG).from_bits(b) for b in tap_beats(taps, np.arange(5) + 9, HARDWARE_CONFIG)]
    channels = [channel for beat in beats for channel in beat]
    assert [list(channel.taps) for channel in channels] == [*taps.tolist(), [0] * 9, [0] * 9, [0] * 9]
    assert [channel.one for channel in channels] == [9, 10, 11, 12, 13, 0, 0, 0]


def test_the_loops_visit_every_input_tile_by_tile(lowered, in_passes):
    for program in (lowered, in_passes):
        for layer, descriptor in zip(program.layers, program.program.layers, strict=True):
            if layer.step.kind is Kind.EVENT:
                _check_walks(layer, descriptor.fields)


def _check_walks(layer, fields):
    step = layer.step
    inputs = _tile_order(step, step.reads.passes, fields["pixel_beats"], layer.input_base)
    assert _walk(step, fields, "input", layer.input_base) == list(inputs)
    if step.position is not Target.NONE:
        outputs = _tile_order(step, step.passes, fields["output_beats"], 0)
        assert _walk(step, fields, "output", 0) == list(outputs)


def test_tiles_are_stored_pass_by_pass(in_passes):
    for layer, descriptor in zip(in_passes.layers, in_passes.program.layers, strict=True):
        if layer.step.kind is Kind.EVENT:
            fields, address, tiles = descriptor.fields, 0, layer.step.tiles
            for tile, number in np.ndindex(tiles, layer.step.passes):
                assert address == (number * tiles + tile) * fields["output_beats"]
                last = number == layer.step.passes - 1
                address += fields["tile_next"] if last else fields["tile_pass"]


def test_only_the_last_pass_is_masked(in_passes):
    assert {layer.fields["step_mask"] for layer in in_passes.program.layers} == {0b0011, 0b1111}
    load, *others = in_passes.program.layers
    assert load.fields["last_pass"] == 0
    assert {layer.fields["last_pass"] for layer in others} == {2}


def _walk(step, fields, prefix, address):
    """The addresses of the hardware's loops: a step for every loop that advances while all inner ones wrap."""
    addresses = []
    counts = loop_counts(step)
    indices = list(itertools.product(*map(range, counts)))
    for here, after in itertools.pairwise([*indices, None]):
        addresses.append(address)
        if after is not None:
            level = next(level for level, (old, new) in enumerate(zip(here, after, strict=True)) if old != new)
            address += fields[f"{prefix}_{LEVELS[level]}"]
    return addresses


def _tile_order(step, passes, beats, base):
    spikes, side = step.reads, step.tile_side
    for tile_y, tile_x in np.ndindex(spikes.height // side, spikes.width // side):
        for number in range(step.passes):
            for y, x in np.ndindex(side, side):
                for plane in range(spikes.planes):
                    position = (tile_y * side + y) * spikes.width + tile_x * side + x
                    stored = plane * passes + (number if passes > 1 else 0)
                    yield base + (stored * spikes.positions + position) * beats


def test_loop_steps_replace_those_of_the_inner_loops():
    assert loop_steps((2, 3, 4), (100, 10, 1)) == [100 - 20 - 3, 10 - 3, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"aggregate": "spike"}, "aggregate = current only; the model has spike"),
        ({"pool_kernel": 3}, "pool_kernel = 2 only; the model has 3"),
        ({"head": "rate"}, "head = neuron only; the model has rate"),
        ({"mix_neuron": False}, "mix_neuron = True only; the model has False"),
        ({"reset": "soft"}, "reset = hard only; the model has soft"),
        ({"neuron": "pmsm"}, "neuron = lif only; the model has pmsm"),
        ({"decay": 0.75}, r"decay = 0\.5 only; the model has 0\.75"),
        ({"attention": "ssa"}, "attention = sasa only; the model has ssa"),
        ({"timesteps": 6}, "needs 2 passes of 4 timesteps, the hardware has 1: raise passes to 2"),
    ],
)
def test_choices_that_the_hardware_lacks(changes, message):
    with pytest.raises(SaformerError, match=message):
        lower(init_model(dataclasses.replace(MODEL, **changes), seed=0), HARDWARE_CONFIG)


@pytest.mark.parametrize(
    "parameter",
    [
        "weight_depth",
        "spike_depth",
        "stream_depth",
        "param_depth",
        "tap_depth",
        "query_depth",
        "channel_depth",
        "max_width",
        "program_depth",
        "acc_bits",
        "current_bits",
    ],
)
def test_a_size_that_is_too_small_is_named_with_what_is_needed(parameter, model):
    smallest = {"acc_bits": 9, "current_bits": 17}.get(parameter, 2)
    config = dataclasses.replace(HARDWARE_CONFIG, **{"acc_bits": 12, parameter: smallest})
    assert _raise_until_it_fits(model, config, parameter) > smallest


def test_neuron_states_that_do_not_fit():
    config = dataclasses.replace(HARDWARE_CONFIG, passes=4, state_depth=23)
    with pytest.raises(SaformerError, match=r"needs 24 beats of neuron state, .*: raise state_depth to 24"):
        lower(init_model(dataclasses.replace(MODEL, timesteps=16), seed=0), config)


def test_windows_too_large_to_count():
    config = dataclasses.replace(HARDWARE_CONFIG, count_bits=2)
    with pytest.raises(SaformerError, match=r"needs 3 bits for the spikes of a window .* raise count_bits to 3"):
        lower(init_model(MODEL, seed=0), config)
    lower(init_model(MODEL, seed=0), config, pooled_query=False)


def _raise_until_it_fits(model, config, parameter):
    """Follow the advice of the messages about one parameter; each may concern another layer."""
    for _ in range(20):
        try:
            lower(model, config)
        except SaformerError as error:
            text = str(error)
            name, _, value = text.rpartition("raise ")[2].partition(" to ")
            assert value.isdigit(), text
            assert getattr(config, name) < int(value), text
            config = dataclasses.replace(config, **{name: int(value)})
        else:
            return getattr(config, parameter)
    raise AssertionError(f"the advice about {parameter} never led to a fit")


def test_sums_that_overflow_an_accumulator(model):
    weights = torch.full_like(model.tensors["conv5.weight"], 127)
    heavy = IntegerModel(config=MODEL, tensors={**model.tensors, "conv5.weight": weights})
    needed = (24 * 9 * 127).bit_length() + 1
    with pytest.raises(SaformerError, match=f"conv5: its sums reach .* raise acc_bits to {needed}"):
        lower(heavy, dataclasses.replace(HARDWARE_CONFIG, acc_bits=needed - 1))
    lower(heavy, dataclasses.replace(HARDWARE_CONFIG, acc_bits=needed))


def test_a_value_that_its_field_cannot_hold():
    with pytest.raises(SaformerError, match="wide: row_beats is 65536, but the program format holds 0 to 65535"):
        check_fields(Layer(name="wide", fields={"row_beats": 65536}))
    with pytest.raises(SaformerError, match="input_chunk is -8388609"):
        check_fields(Layer(name="wide", fields={"input_chunk": -(2**23) - 1}))
    check_fields(Layer(name="wide", fields={"row_beats": 65535, "input_chunk": -(2**23)}))
