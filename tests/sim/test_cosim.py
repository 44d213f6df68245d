"""Whole networks on the accelerator against the integer model, and faults that the comparison must find."""

import dataclasses
import json

import pytest

from golden.calibrate import init_model
from golden.config import Input, ModelConfig
from golden.data import fit_images, load_bundled
from golden.errors import SaformerError
from golden.events import random_frames
from golden.integer import run
from golden.layers import layers
from hw.compile.lowering import lower
from hw.config import HardwareConfig
from hw.estimate.timelines import ExternalMemory
from hw.program import Memory
from sim.cosim import cosim
from sim.simulate import Simulator
from tests.sim.faults import Fault, FaultyAccelerator, flip_param, flip_weight, with_block

HARDWARE = HardwareConfig(
    name="test",
    lanes=16,
    passes=4,
    bus_bytes=4,
    beat_channels=4,
    word_channels=16,
    weight_depth=1024,
    spike_depth=8192,
    fifo_depth=8,
)
STALL = 0.2
"""Probability that the pixels and the memory pause, unless a test says otherwise."""

SMALL = ModelConfig(name="small", dim=16, depth=1, image_size=16)
SHAPES = {
    "small": {},
    "channels that fill neither lanes nor beats": {"dim": 24, "classes": 7},
    "one timestep, gray": {"timesteps": 1, "in_channels": 1},
    "two timesteps, one window": {"timesteps": 2, "windows": 1, "aggregate_threshold": 0.1875},
    "three timesteps, no aggregation": {"timesteps": 3, "windows": 16},
    "three blocks, many input channels": {"depth": 3, "in_channels": 5},
    "32 pixels, pools after 2, 3 and 4": {"image_size": 32, "pool_stages": (2, 3, 4)},
    "no pool": {"image_size": 8, "pool_stages": ()},
    "one token": {"image_size": 4, "windows": 1},
    "no depthwise convolution": {"dwc": False},
    "five timesteps": {"timesteps": 5},
    "sixteen timesteps": {"timesteps": 16, "windows": 1},
    "events": {"input": "events", "in_channels": 2},
    "events in three passes, one channel": {"input": "events", "in_channels": 1, "timesteps": 10, "windows": 16},
}


@pytest.fixture(scope="module")
def simulator():
    """One accelerator for all tests; its faults are off unless a test turns one on."""
    design = FaultyAccelerator(config=HARDWARE)
    with design.elaborating(), Simulator(config=HARDWARE, accelerator=design, stall=STALL, seed=5) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def small():
    return init_model(SMALL, seed=1)


def inputs(config, count):
    """Images and labels: random frames of events, or bundled images."""
    if config.input is Input.EVENTS:
        frames = random_frames(config, count, seed=3)
        return frames.images, frames.labels.tolist()
    bundled = load_bundled()
    images = fit_images(bundled.images[:count], channels=config.in_channels, size=config.image_size)
    return images, bundled.labels[:count].tolist()


def compared(model, simulator, *, count=1, **choices):
    return cosim(model, *inputs(model.config, count), config=HARDWARE, engine=simulator, **choices)


@pytest.mark.parametrize("pooled", [True, False], ids=["pooled query", "query of tokens"])
@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES.keys())
def test_bit_exact(changes, pooled, simulator):
    model = init_model(dataclasses.replace(SMALL, **changes), seed=2)
    result = compared(model, simulator, count=2, pooled_query=pooled)
    assert [str(mismatch) for mismatch in result.mismatches] == []
    assert result.bus_bytes == [result.image_bytes] * 2
    for layer in result.layers:
        assert layer.cycles >= layer.ideal_cycles
        if model.config.dwc or layer.kind != "mix":
            assert layer.sops_rtl == layer.sops_golden


def test_a_pooled_query_saves_accumulates(small, simulator):
    pooled, tokens = (compared(small, simulator, pooled_query=choice) for choice in (True, False))
    assert pooled.predictions == tokens.predictions
    queries = [next(layer for layer in result.layers if layer.name == "blocks.0.q") for result in (pooled, tokens)]
    assert queries[0].sops_rtl < queries[1].sops_rtl
    assert queries[0].cycles < queries[1].cycles
    others = [[layer.sops_rtl for layer in result.layers if layer.name != "blocks.0.q"] for result in (pooled, tokens)]
    assert others[0] == others[1]


@pytest.mark.parametrize("cycles", [500, 4_000, 12_000, 20_000])
def test_a_reset_in_the_middle_of_an_image_leaves_nothing(cycles, small, simulator):
    simulator.load(lower(small, HARDWARE))
    pixels = fit_images(load_bundled().images[7:8], channels=3, size=16)[0].permute(1, 2, 0).numpy()
    simulator.native.send("pixels", pixels.ravel())
    simulator.native.pulse("start")
    simulator.native.step(cycles)
    assert simulator.native.get("busy") == 1
    simulator.native.reset()
    assert compared(small, simulator, count=2).bit_exact


@pytest.mark.parametrize("stall", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("latency", [0, 200])
def test_stalls_and_latencies_change_no_result(stall, latency, small, simulator):
    memory = simulator.memory
    simulator.stall(stall)
    simulator.memory = ExternalMemory(latency=latency, bandwidth=4.0 if stall else 1.2)
    try:
        result = compared(small, simulator)
    finally:
        simulator.stall(STALL)
        simulator.memory = memory
    assert [str(mismatch) for mismatch in result.mismatches] == []
    load = result.layers[0]
    assert (load.cycles > 1.05 * load.ideal_cycles) == (stall > 0)


def test_a_slow_memory_is_waited_for(small, simulator):
    cycles = {}
    memory = simulator.memory
    simulator.stall(0.0)
    try:
        for bandwidth in (4.0, 0.2):
            simulator.memory = ExternalMemory(latency=10, bandwidth=bandwidth)
            result = compared(small, simulator)
            waiting = sum(layer.counters.get("WAITING", 0) for layer in result.layers)
            cycles[bandwidth] = (result.cycles_per_image, waiting)
    finally:
        simulator.stall(STALL)
        simulator.memory = memory
    (fast, little), (slow, much) = cycles[4.0], cycles[0.2]
    # A word takes 20 cycles instead of one, and the bus is what everything waits for.
    assert slow > result.image_bytes / 0.2
    assert much - little > (slow - fast) / 2


def test_predictions_are_those_of_the_integer_model(small, simulator):
    result = compared(small, simulator, count=5)
    images = fit_images(load_bundled().images[:5], channels=3, size=16)
    assert result.predictions == run(small, images).predictions.tolist()
    assert len(result.cycles) == 5


def test_json_has_every_figure(small, simulator):
    values = compared(small, simulator).to_json()
    assert json.loads(json.dumps(values)) == values
    assert values["bit_exact"] is True
    assert values["images"] == len(values["predictions"]) == len(values["labels"]) == 1
    assert values["sops"] == sum(layer["sops_rtl"] for layer in values["layers"])
    names = [layer.step.name for layer in lower(small, HARDWARE).layers]
    names.insert(names.index("blocks.0.k") + 1, "blocks.0.mix")
    assert [layer["name"] for layer in values["layers"]] == names
    golden = sum(layer["sops_golden"] for layer in values["layers"])
    assert values["accumulates_per_cycle"] == pytest.approx(golden / values["cycles_per_image"])
    assert values["accumulates_per_cycle_and_lane"] == pytest.approx(values["accumulates_per_cycle"] / 16)
    assert values["accumulates_per_cycle_and_adder"] == pytest.approx(values["accumulates_per_cycle"] / 64)
    macs = {layer.name: layer.macs for layer in layers(small.config)}
    dense = macs["conv1"] + 4 * sum(count for name, count in macs.items() if name != "conv1")
    assert values["dense_equivalent_per_cycle"] == pytest.approx(dense / values["cycles_per_image"])


def test_progress_goes_through_images_and_layers(simulator):
    model, seen = init_model(ModelConfig(name="larger", dim=64, depth=1), seed=1), []
    result = compared(model, simulator, count=2, progress=seen.append)
    assert [position.done for position in seen if position.cycles == 0] == [0, 1]
    for done in (0, 1):
        positions = [position for position in seen if position.done == done]
        assert positions == sorted(positions, key=lambda position: position.cycles)
        assert {position.layer for position in positions} <= set(range(len(result.layers)))
        assert max(position.layer for position in positions) > 1
        assert positions[0].expected == pytest.approx(result.cycles[done], rel=0.1)


def test_events_are_ideal_cycles_of_one_group(small, simulator):
    result = compared(small, simulator)
    for layer in result.layers:
        if layer.kind == "event":
            assert layer.counters["EVENTS"] == layer.ideal_cycles


@pytest.mark.parametrize(
    ("layer", "row"), [("conv1", 17), ("conv3", 17), ("conv5", 64), ("blocks.0.proj", 3), ("head", 3)]
)
def test_a_flipped_weight_is_found(layer, row, small, simulator):
    wrong = flip_weight(lower(small, HARDWARE), layer=layer, row=row, lane=1, bit=6)
    first = compared(small, simulator, lowered=wrong).mismatches[0]
    assert first.mismatch.layer == layer


@pytest.mark.parametrize(
    ("layer", "memory", "field", "bit"),
    [
        ("conv1", Memory.PARAMS, "bias", 10),
        ("conv2", Memory.PARAMS, "threshold", 7),
        ("blocks.0.k", Memory.PARAMS, "threshold", 23),
        ("blocks.0.k", Memory.MIXES, "bias", 23),
        ("blocks.0.fc2", Memory.PARAMS, "bias", 0),
        ("pool", Memory.PARAMS, "threshold", 23),
        ("head", Memory.PARAMS, "bias", 0),
    ],
)
def test_a_flipped_parameter_is_found(layer, memory, field, bit, small, simulator):
    wrong = flip_param(lower(small, HARDWARE), layer=layer, memory=memory, channel=1, field=field, bit=bit)
    first = compared(small, simulator, lowered=wrong).mismatches[0]
    assert first.mismatch.layer == layer


@pytest.mark.parametrize(("fault", "layer"), [(Fault.SPIKE_MEMORY, "conv1"), (Fault.ROUNDING, "conv4")])
def test_a_fault_in_the_design_is_found(fault, layer, small, simulator):
    simulator.native.set("fault", fault)
    try:
        result = compared(small, simulator)
    finally:
        simulator.native.set("fault", Fault.NONE)
    assert not result.bit_exact
    assert result.to_json()["mismatches"][0].startswith(f"image 0, {layer}: spikes at position (")


def differs(model, simulator, **choices):
    """Whether a run shows that something is wrong: in what it computes, or because it does not end."""
    try:
        return not compared(model, simulator, **choices).bit_exact
    except SaformerError as error:
        simulator.native.reset()
        return "the simulation gave up" in str(error)


@pytest.mark.parametrize(
    "places",
    [[("blocks.0.fc1", 0), ("blocks.0.fc1", 1)], [("blocks.0.q", 0), ("blocks.0.proj", 0)]],
    ids=["two groups", "two layers"],
)
def test_a_swapped_block_is_found(places, small, simulator):
    lowered = lower(small, HARDWARE)
    numbers = [[(block.layer, block.group) for block in lowered.program.blocks].index(place) for place in places]
    one, other = (lowered.program.blocks[number] for number in numbers)
    assert one.weights.shape == other.weights.shape
    swapped = with_block(with_block(lowered, numbers[0], other), numbers[1], one)
    assert differs(small, simulator, lowered=swapped)


@pytest.mark.parametrize("fault", [Fault.DROPPED_WORD, Fault.REPEATED_WORD])
def test_a_word_that_is_lost_or_comes_twice_is_found(fault, small, simulator):
    simulator.native.set("fault", fault)
    try:
        assert differs(small, simulator)
    finally:
        simulator.native.set("fault", Fault.NONE)
        simulator.native.reset()
    assert compared(small, simulator).bit_exact


def test_two_programs_in_turns(small, simulator):
    """Another model needs no other simulator, and leaves nothing behind."""
    other = init_model(dataclasses.replace(SMALL, dim=32, depth=2), seed=6)
    for model in (small, other, small):
        assert compared(model, simulator).bit_exact


def test_images_without_labels(small, simulator):
    with pytest.raises(SaformerError, match="as many labels, not 0 and 0"):
        compared(small, simulator, count=0)
