"""From an integer model to a program: descriptors, weight rows, parameters, and where every map lies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from golden.config import ModelConfig
from golden.integer import IntegerModel
from hw.compile.allocate import allocate, channel_beats, map_beats, spike_words
from hw.compile.chain import Chain, ChainConfig
from hw.compile.intervals import intervals
from hw.compile.limits import check_fields, check_memories, check_model, check_step, check_timesteps, memory_needs
from hw.compile.pack import group_rows, layer_blocks
from hw.compile.schedule import Step, schedule
from hw.config import HardwareConfig
from hw.program import LEVELS, Block, Kind, Layer, Memory, Program, Target, descriptor_words


@dataclass(frozen=True, kw_only=True)
class LoweredLayer:
    """A layer of a program, its step, and the beats at which its maps start in spike memory (0 for what it lacks)."""

    step: Step
    input_base: int
    output_base: int
    count_base: int
    mix_base: int


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """A program and what is needed to understand what the hardware does with it.

    ``needed`` is the depth that every memory needs, by the parameter of the hardware.
    """

    model: ModelConfig | ChainConfig
    config: HardwareConfig
    program: Program
    layers: tuple[LoweredLayer, ...]
    needed: Mapping[str, int]


def lower(model: IntegerModel, config: HardwareConfig, *, pooled_query: bool = True) -> Lowered:
    """Translate a model for the hardware; ``pooled_query`` is explained in `hw.compile.schedule.schedule`.

    Raises SaformerError when the model uses what the hardware lacks, or does not fit it.
    """
    check_model(model.config, config)
    return lower_steps(model.config, schedule(model, config, pooled_query=pooled_query), config)


def lower_chain(chain: Chain) -> Lowered:
    """Translate a feed-forward network. Raises SaformerError when it does not fit the hardware."""
    check_timesteps(chain.config.timesteps, chain.hardware)
    return lower_steps(chain.config, chain.steps, chain.hardware)


def lower_steps(model: ModelConfig | ChainConfig, steps: Sequence[Step], config: HardwareConfig) -> Lowered:
    """Translate the steps of a network for the hardware. Raises SaformerError when they do not fit it."""
    for step in steps:
        check_step(step, config)
    bases = allocate(steps, config)
    blocks = _Blocks(config)
    layers = tuple(
        LoweredLayer(
            step=step,
            input_base=bases[step.reads.place] if step.reads else 0,
            output_base=bases[step.writes.name] if step.writes else 0,
            count_base=bases[step.counts.name] if step.counts else 0,
            mix_base=bases[step.mix.writes.name] if step.mix else 0,
        )
        for step in steps
    )
    program = Program(
        config=config,
        layers=tuple(Layer(name=layer.step.name, fields=_fields(layer, blocks, model.timesteps)) for layer in layers),
        blocks=tuple(blocks.all),
    )
    filled = {
        "weight_depth": _power_of_two(max(group_rows(step, config) for step in steps)),
        "spike_depth": spike_words(steps, bases, config),
        "param_depth": _power_of_two(_live_params(program)),
        "tap_depth": _power_of_two(max(layer.fields.get("free_taps", 0) for layer in program.layers)),
        "program_depth": descriptor_words(config) * len(program.layers),
    }
    needed = memory_needs(steps, filled, config)
    check_memories(needed, config)
    for layer in program.layers:
        check_fields(layer)
    return Lowered(model=model, config=config, program=program, layers=layers, needed=needed)


class _Blocks:
    """The blocks of a program, as they grow layer by layer, and how many entries of each memory they have."""

    def __init__(self, config: HardwareConfig):
        self.config = config
        self.all: list[Block] = []
        self.entries = dict.fromkeys(Memory, 0)

    def add(self, step: Step) -> dict[Memory, int]:
        """Append the blocks of a step; return the number of the first entry of each memory."""
        first = dict(self.entries)
        for block in layer_blocks(step, self.config):
            self.all.append(block)
            self.entries[Memory.WEIGHTS] += len(block.weights)
            for memory, values in block.entries.items():
                self.entries[memory] += len(values)
        return first


def _live_params(program: Program) -> int:
    """Beats of neuron parameters that the ring must hold: those of a block, and those not yet freed before it.

    The parameters of a group are freed with the group after it, those of a layer without weights never.
    """
    most, kept, before = 0, 0, 0
    for block in program.blocks:
        beats = len(block.entries.get(Memory.PARAMS, ()))
        most = max(most, kept + before + beats)
        if len(block.weights):
            before = beats
        else:
            kept += beats
    return most


def _power_of_two(value: int) -> int:
    """The smallest power of two that is not below a value."""
    return 1 << (value - 1).bit_length()


def _fields(layer: LoweredLayer, blocks: _Blocks, timesteps: int) -> dict[str, int]:
    """The descriptor of a layer, whose blocks are added to the others."""
    step, config = layer.step, blocks.config
    first = blocks.add(step)
    kinds = [neurons is not None for neurons in (step.position_neurons, step.tile_neurons)]
    rest = timesteps - (step.passes - 1) * config.timesteps
    fields = {
        "kind": step.kind,
        "step_mask": (1 << min(rest, config.timesteps)) - 1,
        "last_pass": step.passes - 1,
        "input_base": layer.input_base,
        "output_base": layer.output_base,
        "output_beats": channel_beats(step.outputs, config),
        "position_target": step.position,
        "tile_target": step.tile,
        "position_params": first[Memory.PARAMS],
        # Where there are two kinds of neurons, those of the positions come first.
        "tile_params": first[Memory.PARAMS] + (config.group_beats if all(kinds) else 0),
        "group_params": sum(kinds) * config.group_beats,
        "weight_base": first[Memory.WEIGHTS],
    }
    match step.kind:
        case Kind.LOAD:
            return fields | _load_fields(step, config)
        case Kind.EVENT:
            extras = _count_fields(layer, config) | _mix_fields(layer, first[Memory.TAPS], config)
            return fields | _event_fields(step, config) | extras
        case Kind.POOL:
            return fields | {"tokens": step.tokens, "stream_pass": step.tokens * channel_beats(step.outputs, config)}


def _load_fields(step: Step, config: HardwareConfig) -> dict[str, int]:
    image = step.writes
    return {
        "pixels": image.positions * image.passes,
        "pixel_channels": image.channels,
        "plane_beats": image.positions * channel_beats(image.channels, config),
        "frames": int(image.name == "frames"),
    }


def _event_fields(step: Step, config: HardwareConfig) -> dict[str, int]:
    groups = -(-step.outputs // config.lanes)
    last_channels = step.outputs - (groups - 1) * config.lanes
    pixel_beats, output_beats = channel_beats(step.reads.channels, config), channel_beats(step.outputs, config)
    counts = loop_counts(step)
    # Folded layers without a current of their own for every position have no position addresses.
    stored = output_beats if step.position is not Target.NONE else 0
    tile_pass = step.tiles * output_beats
    inside, closing = intervals(step, config)
    return {
        "interval": inside,
        "closing_interval": closing,
        "fold": step.fold,
        "kernel3": int(step.kernel == 3),
        "last_group": groups - 1,
        "last_beats": channel_beats(last_channels, config),
        "group_channels": config.lanes,
        "last_channels": last_channels,
        **{f"last_{level}": count - 1 for level, count in zip(LEVELS, counts, strict=True)},
        **_named("input", loop_steps(counts, _strides(step, step.reads.passes, pixel_beats))),
        "pixel_beats": pixel_beats,
        "row_beats": step.reads.width * pixel_beats,
        "weight_rows": group_rows(step, config),
        **_named("output", loop_steps(counts, _strides(step, step.passes, stored))),
        "tile_pass": tile_pass,
        "tile_next": output_beats - (step.passes - 1) * tile_pass,
    }


def _count_fields(layer: LoweredLayer, config: HardwareConfig) -> dict[str, int]:
    """The window sums of the spikes that the layer writes."""
    counts = layer.step.counts
    if counts is None:
        return {}
    plane = map_beats(counts, config) // counts.planes
    return {
        "counted": 1,
        "count_base": layer.count_base,
        "count_plane": plane,
        "last_plane": counts.planes - 1,
    }


def _mix_fields(layer: LoweredLayer, taps: int, config: HardwareConfig) -> dict[str, int]:
    """The mixing of the keys that the layer writes; the mask neuron fires when the last keys have been counted."""
    step, mix = layer.step, layer.step.mix
    if mix is None:
        if step.keys is None:
            return {}
        return {"awaits_mix": 1, "free_taps": channel_beats(step.keys.channels, config)}
    return {
        "mixed": 1,
        "mix_base": layer.mix_base,
        "width": mix.writes.width,
        "height": mix.writes.height,
        "key_pass": map_beats(mix.writes, config) // mix.writes.passes,
        "tap_base": taps,
        "mask_threshold": mix.mask_threshold,
    }


def loop_counts(step: Step) -> tuple[int, ...]:
    """Iterations of the loops of `LEVELS` over the positions of an EVENT step."""
    spikes, side = step.reads, step.tile_side
    return (spikes.height // side, spikes.width // side, step.passes, side, side, spikes.planes)


def loop_steps(counts: Sequence[int], strides: Sequence[int]) -> list[int]:
    """What the address gains when a loop advances: its stride, less the way that the loops inside it have gone."""
    steps, gone = [], 0
    for count, stride in zip(reversed(counts), reversed(strides), strict=True):
        steps.append(stride - gone)
        gone += (count - 1) * stride
    return steps[::-1]


def _strides(step: Step, passes: int, position_beats: int) -> tuple[int, ...]:
    """Distance in beats of neighbours along each loop, in a map of `passes` with `position_beats` beats a position."""
    spikes, side = step.reads, step.tile_side
    row = spikes.width * position_beats
    plane = spikes.positions * position_beats
    # A map of one pass serves all of them.
    turn = plane if passes > 1 else 0
    return (side * row, side * position_beats, turn, row, position_beats, passes * plane)


def _named(prefix: str, values: Sequence[int]) -> dict[str, int]:
    return {f"{prefix}_{level}": value for level, value in zip(LEVELS, values, strict=True)}
