"""From an integer model to a program of the serial accelerator, and where every map lies there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from golden.config import Input, ModelConfig
from golden.errors import SaformerError
from golden.integer import IntegerModel
from hw.compile.limits import check_model, check_step, check_sums
from hw.compile.lowering import Lowered, lower
from hw.compile.schedule import Map, Mix, Neurons, Step, schedule
from hw.config import MAX_TIMESTEPS, HardwareConfig
from hw.program import Fold as WideFold
from hw.program import Kind, Target
from hw.serial.config import GROUPS, PLANES, SerialConfig
from hw.serial.program import EXTRA_BITS, LEAST_CHANNELS, ROWS_BITS, TARGET, Fold, Layer, Mode, Program

_FOLDS = {WideFold.NONE: Fold.NONE, WideFold.MAX: Fold.MAX, WideFold.SUM: Fold.SUM, WideFold.BITS: Fold.BITS}

_TARGETS = {
    Target.NONE: {},
    Target.SPIKES: {"fire": 1},
    Target.QUERY: {"fire": 1},
    Target.KEY: {"fire": 1},
    Target.STREAM_OPEN: {"fire": 1, "write": 1},
    Target.STREAM_ADD: {"fire": 1, "write": 1, "add": 1},
    Target.STREAM_CLOSE: {"write": 1, "add": 1},
    Target.LOGITS: {"logits": 1},
}

_FULL = 127
"""The largest weight: a row behind the mask adds at most so much."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where the currents of a layer go, by position or by tile: a target, its neurons and the map of the spikes."""

    target: Target = Target.NONE
    neurons: Neurons | None = None
    spikes: Map | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A layer before it has its places.

    ``steps`` are the timesteps or bit-planes of what it reads, ``mask`` the map that is read beside it, ``weights``
    int8 [groups, rows, lanes], ``extra`` the number of its last rows that only meet masked spikes.
    """

    name: str
    mode: Mode
    outputs: int
    steps: int
    side: int
    tile_side: int = 1
    fold: Fold = Fold.NONE
    kernel: int = 1
    reads: Map | None = None
    mask: Map | None = None
    position: Output = field(default_factory=Output)
    tile: Output = field(default_factory=Output)
    weights: np.ndarray
    extra: int = 0
    stream: str | None = None

    @property
    def maps(self) -> list[Map]:
        """All maps that it reads or writes."""
        return [each for each in (self.reads, self.mask, self.position.spikes, self.tile.spikes) if each is not None]

    @property
    def last_row(self) -> int:
        """The last row of the weight buffer that a group takes: words with fewer channels than lanes leave gaps."""
        count, lanes = self.weights.shape[1:]
        if self.mode is not Mode.DENSE:
            return count - 1
        taps, channels = self.kernel**2, self.reads.channels
        return (taps * -(-channels // lanes) - 1) * lanes + (channels - 1) % lanes


@dataclass(frozen=True, kw_only=True)
class SerialLowered:
    """A program, the layers it was made of, and the slot of every map by its name."""

    model: ModelConfig
    config: SerialConfig
    program: Program
    plans: tuple[Plan, ...]
    slots: dict[str, int]


def lower_serial(model: IntegerModel, config: SerialConfig) -> SerialLowered:
    """Translate a model. Raises SaformerError for what the hardware cannot run, with what to change."""
    wide = HardwareConfig(timesteps=1, passes=MAX_TIMESTEPS, acc_bits=config.acc_bits, current_bits=config.current_bits)
    _check_model(model.config, config, wide)
    steps = schedule(model, wide, pooled_query=False)
    for step in steps:
        check_step(step, wide)
        if step.mix is not None:
            check_sums(step.mix.name, np.column_stack([step.mix.taps, step.mix.one]), config.acc_bits)
    plans = tuple(plan for step in steps for plan in _plans(model.config, step, config))
    for plan in plans:
        _check_plan(plan, config)
    slots, timesteps = _place(plans, config), model.config.timesteps
    program = Program(config=config, layers=tuple(_layer(plan, slots, timesteps, config) for plan in plans))
    if (size := len(program.words())) > config.store_depth:
        raise SaformerError(
            f"the program has {size} words, the store {config.store_depth}: raise store_depth, or use a smaller model"
        )
    return SerialLowered(model=model.config, config=config, program=program, plans=plans, slots=slots)


def lower_on(model: IntegerModel, config: HardwareConfig | SerialConfig) -> Lowered | SerialLowered:
    """Translate a model for either accelerator. Raises SaformerError likewise."""
    return lower_serial(model, config) if isinstance(config, SerialConfig) else lower(model, config)


def fires(output: Output) -> bool:
    """Whether there are spikes."""
    return "fire" in _TARGETS[output.target]


def is_small(spikes: Map, config: SerialConfig) -> bool:
    """Whether a map is addressed as a small one; the bit-planes of pixels never are."""
    return spikes.planes == 1 and spikes.height <= config.side // 2


def words(channels: int, config: SerialConfig) -> int:
    """Words, or groups of output channels, that hold so many channels."""
    return -(-channels // config.lanes)


def _check_model(model: ModelConfig, config: SerialConfig, wide: HardwareConfig) -> None:
    """Raises SaformerError for a model that the hardware does not have the parts or the room for."""
    check_model(model, wide)
    if model.input is Input.EVENTS:
        raise SaformerError("the serial accelerator takes pixels only; the model has input = events")
    sides = (
        ("the window", model.window_kernel),
        ("the grid of windows", model.window_side),
        ("the token grid", model.grid),
    )
    for what, side in sides:
        if side & (side - 1):
            raise SaformerError(f"{what} has a side of {side}; the serial accelerator wants a power of two")
    half = config.side // 2
    for what, count, parameter, most in (
        ("timesteps", model.timesteps, "timesteps", config.timesteps),
        ("pixels on a side", model.image_size, "side", config.side),
        ("tokens on a side, with the residual stream's", model.grid, "side / 2", half),
        ("channels in the residual stream", model.dim, "stream_words * lanes", config.stream_words * config.lanes),
        ("channels of an image", model.in_channels, "LEAST_CHANNELS", LEAST_CHANNELS),
    ):
        if count > most:
            raise SaformerError(f"the model has {count} {what}, the serial accelerator {most} ({parameter})")


def _check_plan(plan: Plan, config: SerialConfig) -> None:
    """Raises SaformerError for a layer that does not fit the memories or the descriptor."""
    for what, count, parameter, most in (
        (
            "rows of weights in a group",
            plan.last_row + 1,
            "weight_depth",
            min(config.weight_depth, (1 << ROWS_BITS) - 1),
        ),
        ("groups of output channels", len(plan.weights), "lanes", GROUPS),
        ("rows for the mask constant", plan.extra, "EXTRA_BITS", (1 << EXTRA_BITS) - 1),
    ):
        if count > most:
            raise SaformerError(f"{plan.name}: {count} {what}, the hardware has {most} ({parameter})")
    for spikes in plan.maps:
        most = config.words * (4 if is_small(spikes, config) else 1)
        if (count := words(spikes.channels, config)) > most:
            raise SaformerError(
                f"{plan.name}: {spikes.name} has {count} words a position, the hardware has {most}: raise words"
            )


def _plans(model: ModelConfig, step: Step, config: SerialConfig) -> Iterator[Plan]:
    """The layers that a step becomes: keys are followed by the mask and by what is mixed of both."""
    none = np.zeros((words(step.outputs, config), 0, config.lanes), np.int8)
    if step.kind is Kind.LOAD:
        output = Output(spikes=step.writes)
        yield Plan(
            name=step.name,
            mode=Mode.LOAD,
            outputs=step.outputs,
            steps=PLANES,
            side=step.writes.height,
            position=output,
            weights=none,
        )
    elif step.kind is Kind.POOL:
        output = Output(target=step.position, neurons=step.position_neurons, spikes=step.writes)
        yield Plan(
            name=step.name,
            mode=Mode.POOL,
            outputs=step.outputs,
            steps=model.timesteps,
            side=model.grid,
            tile_side=model.grid,
            fold=Fold.SUM,
            tile=output,
            weights=none,
        )
    else:
        windows = replace(step.reads, name=step.windows or "", height=model.window_side, width=model.window_side)
        windows = replace(windows, channels=step.outputs)
        tiles = windows if step.tile in (Target.QUERY, Target.KEY) else step.writes
        yield Plan(
            name=step.name,
            mode=Mode.DENSE,
            outputs=step.outputs,
            steps=PLANES if step.fold is WideFold.BITS else model.timesteps,
            side=step.reads.height,
            tile_side=step.tile_side,
            fold=_FOLDS[step.fold],
            kernel=step.kernel,
            reads=step.reads,
            position=Output(target=step.position, neurons=step.position_neurons, spikes=step.writes),
            tile=Output(target=step.tile, neurons=step.tile_neurons, spikes=tiles),
            weights=_dense_rows(step.weights, config),
            stream=step.stream,
        )
        if step.mix is not None:
            yield from _mixing(model, step, step.mix, windows, config)


def _mixing(model: ModelConfig, step: Step, mix: Mix, ka: Map, config: SerialConfig) -> Iterator[Plan]:
    """The mask, whose current is 16 for each window in which QA and KA spike, and the depthwise convolution."""
    groups, channels = words(step.outputs, config), step.outputs
    mask = replace(ka, name=step.mask, height=1, width=1)
    zeros = np.zeros(channels, int)
    yield Plan(
        name=step.mask,
        mode=Mode.DEPTHWISE,
        outputs=channels,
        steps=model.timesteps,
        side=ka.height,
        tile_side=ka.height,
        fold=Fold.SUM,
        reads=ka,
        mask=replace(ka, name=step.windows.removesuffix("ka") + "qa"),
        tile=Output(
            target=Target.SPIKES,
            neurons=Neurons(bias=zeros, threshold=zeros + mix.mask_threshold, shift=zeros),
            spikes=mask,
        ),
        weights=np.full((groups, 1, config.lanes), 16, np.int8),
        extra=1,
    )
    taps = mix.taps if mix.taps.any() else mix.taps[:, :0]
    ones = -(-int(mix.one.max()) // _FULL)
    shares = [np.minimum(mix.one - _FULL * share, _FULL).clip(min=0) for share in range(ones)]
    rows = np.column_stack([taps, *shares])
    yield Plan(
        name=mix.name,
        mode=Mode.DEPTHWISE,
        outputs=channels,
        steps=model.timesteps,
        side=mix.writes.height,
        kernel=3 if taps.size else 1,
        reads=step.writes,
        mask=mask,
        position=Output(target=Target.SPIKES, neurons=mix.neurons, spikes=mix.writes),
        weights=_groups(rows.T, config),
        extra=ones,
    )


def _dense_rows(weights: np.ndarray, config: SerialConfig) -> np.ndarray:
    """Rows of [outputs, inputs, kernel, kernel]: tap by tap in raster order, each with all channels."""
    return _groups(weights.transpose(2, 3, 1, 0).reshape(-1, len(weights)), config)


def _groups(rows: np.ndarray, config: SerialConfig) -> np.ndarray:
    """Rows [rows, outputs] as [groups, rows, lanes]."""
    padded = np.pad(rows, [(0, 0), (0, -rows.shape[1] % config.lanes)])
    return padded.reshape(len(rows), -1, config.lanes).transpose(1, 0, 2).astype(np.int8)


def _place(plans: Sequence[Plan], config: SerialConfig) -> dict[str, int]:
    """Give every map a slot that no other one has between its first and its last use."""
    last = {spikes.name: number for number, plan in enumerate(plans) for spikes in plan.maps}
    slots, taken = {}, {}
    for number, plan in enumerate(plans):
        for spikes in plan.maps:
            if spikes.name not in slots:
                free = sorted(set(range(config.maps)) - set(taken.values()))
                if not free:
                    raise SaformerError(f"{plan.name}: more than {config.maps} maps at a time: raise maps")
                slots[spikes.name] = taken[spikes.name] = free[0]
        taken = {name: slot for name, slot in taken.items() if last[name] > number}
    return slots


def _layer(plan: Plan, slots: dict[str, int], timesteps: int, config: SerialConfig) -> Layer:
    """The descriptor of a layer, its parameters and its weights."""
    outputs = [output for output in (plan.position, plan.tile) if output.neurons is not None]
    groups = words(plan.outputs, config)
    last = plan.outputs - (groups - 1) * config.lanes
    fields = {
        "mode": plan.mode,
        "kernel3": plan.kernel == 3,
        "fold": plan.fold,
        "position": _target(plan.position.target),
        "tile": _target(plan.tile.target),
        "last_step": plan.steps - 1,
        "last_tile_step": timesteps - 1,
        "last": plan.side - 1,
        "tile_mask": plan.tile_side - 1,
        "last_word": words(plan.reads.channels, config) - 1 if plan.mode is Mode.DENSE else 0,
        "last_input": (plan.reads.channels - 1) % config.lanes if plan.mode is Mode.DENSE else config.lanes - 1,
        "masked": plan.mask is not None,
        "corner": plan.mask is not None and plan.mask.height < plan.reads.height,
        "extra": plan.extra,
        "both": len(outputs) == 2,
        "last_group": groups - 1,
        "last_channel": (last if plan.mode is Mode.LOAD else max(last, LEAST_CHANNELS)) - 1,
        "last_row": max(plan.last_row, 0),
    }
    for name, spikes in {
        "input": plan.reads,
        "mask": plan.mask,
        "output": plan.position.spikes,
        "tiles": plan.tile.spikes,
    }.items():
        fields[name] = slots[spikes.name] if spikes is not None else 0
        if name != "mask":
            fields[f"small_{name}"] = spikes is not None and is_small(spikes, config)
    parameters = np.stack([_parameters(output.neurons, groups, config) for output in outputs or [Output()]], axis=1)
    return Layer(
        name=plan.name,
        fields={name: int(value) for name, value in fields.items()},
        parameters=parameters,
        weights=plan.weights,
    )


def _target(target: Target) -> int:
    return TARGET.const(_TARGETS[target]).as_value().value


def _parameters(neurons: Neurons | None, groups: int, config: SerialConfig) -> np.ndarray:
    """Bias, threshold and shift, int64 [groups, lanes, 3]; a lane without a channel never fires."""
    padded = np.zeros((3, groups * config.lanes), np.int64)
    padded[1] = (1 << config.current_bits - 1) - 1
    if neurons is not None:
        padded[:, : len(neurons.bias)] = neurons.bias, neurons.threshold, neurons.shift
    return padded.T.reshape(groups, config.lanes, 3)
