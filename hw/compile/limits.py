"""What the hardware cannot run: every limit is checked when a model is lowered, and named with what to raise."""

from collections.abc import Sequence

import numpy as np

from golden.config import Aggregate, Attention, Head, ModelConfig, NeuronKind, Reset
from golden.errors import SaformerError
from hw.attention.attention import COUNT_BITS
from hw.compile.allocate import channel_beats
from hw.compile.schedule import Mix, Neurons, Step
from hw.config import STREAM_BITS, HardwareConfig
from hw.program import DESCRIPTOR, Fold, Kind, Layer, Target

STREAM_TARGETS = {Target.STREAM_OPEN, Target.STREAM_ADD, Target.STREAM_CLOSE}

_SUPPORTED = {
    "attention": Attention.SASA,
    "neuron": NeuronKind.LIF,
    "decay": 0.5,
    "aggregate": Aggregate.CURRENT,
    "pool_kernel": 2,
    "head": Head.NEURON,
    "mix_neuron": True,
    "reset": Reset.HARD,
}


def check_model(model: ModelConfig, config: HardwareConfig) -> None:
    """Raises SaformerError for a choice of the model that the hardware does not have, and for too many timesteps."""
    for field, supported in _SUPPORTED.items():
        value = getattr(model, field)
        if value != supported:
            raise SaformerError(f"the hardware supports {field} = {supported!s} only; the model has {value!s}")
    check_timesteps(model.timesteps, config)
    if model.windows >= 2**COUNT_BITS:
        raise SaformerError(
            f"the attention counts at most {2**COUNT_BITS - 1} windows; the model has {model.windows}: reduce windows"
        )


def check_timesteps(timesteps: int, config: HardwareConfig) -> None:
    """Raises SaformerError for more timesteps than the passes of the hardware take."""
    passes = -(-timesteps // config.timesteps)
    _require(passes, config.passes, "passes", f"passes of {config.timesteps} timesteps")


def memory_needs(steps: Sequence[Step], filled: dict[str, int], config: HardwareConfig) -> dict[str, int]:
    """The depth that every memory needs, by the parameter of the hardware.

    ``filled`` has those that the program and the allocation fill.
    """
    streams = [step for step in steps if step.targets & STREAM_TARGETS]
    attention = [step for step in steps if step.targets & {Target.QUERY, Target.KEY}]
    beats = {step.name: channel_beats(step.outputs, config) for step in steps}
    needed = filled | {
        "stream_depth": max((step.passes * step.tiles * beats[step.name] for step in streams), default=0),
        "query_depth": max((step.passes * step.tiles * beats[step.name] for step in attention), default=0),
        "channel_depth": max((beats[step.name] for step in attention), default=0),
        "max_width": max((step.mix.writes.width for step in steps if step.mix), default=0),
    }
    if any(step.passes > 1 for step in steps):
        needed["state_depth"] = max(_states(step, config) for step in steps)
    return needed


def check_memories(needed: dict[str, int], config: HardwareConfig) -> None:
    """Raises SaformerError for a memory that is too small, with the depth it needs."""
    what = {
        "weight_depth": "rows of weight buffer for a group of output channels",
        "spike_depth": "words of spike memory",
        "param_depth": "beats of neuron parameters",
        "tap_depth": "beats of depthwise weights",
        "program_depth": "words of descriptor memory",
        "stream_depth": "beats of residual stream memory",
        "query_depth": "beats of query memory",
        "channel_depth": "channel beats in attention",
        "max_width": "tokens of line buffer",
        "state_depth": "beats of neuron state",
    }
    for parameter, count in needed.items():
        _require(count, getattr(config, parameter), parameter, what[parameter])


def _states(step: Step, config: HardwareConfig) -> int:
    """Beats of neuron state: every position of a tile and the tile, and the mixing unit's; or every channel beat."""
    if step.kind is Kind.POOL:
        return channel_beats(step.outputs, config)
    return (step.tile_side**2 + 2) * config.group_beats


def check_step(step: Step, config: HardwareConfig) -> None:
    """Raises SaformerError when a sum, a current or a parameter of a step can leave its width, or a map is too wide."""
    folds = {Fold.BITS: 255, Fold.SUM: step.window, Fold.COUNTS: step.window}
    low, high = _source_range(step)
    for neurons, count in ((step.position_neurons, 1), (step.tile_neurons, folds.get(step.fold, 1))):
        if neurons is not None:
            _check_currents(step.name, neurons, count * low, count * high, config)
    if step.weights is not None:
        check_sums(step.name, step.weights, config.acc_bits)
    if step.mix is not None:
        _check_mix(step.mix, config)
    if step.counts is not None:
        bits = step.counts.planes
        _require(bits, config.count_bits, "count_bits", "bits for the spikes of a window (or choose query tokens)")


def _check_mix(mix: Mix, config: HardwareConfig) -> None:
    low, high = _sums(mix.taps)
    _check_currents(mix.name, mix.neurons, low, high + mix.one, config)
    _require_bits(mix.name, "its mask constant", mix.one, mix.one, config.current_bits, "current_bits")


def check_sums(name: str, weights: np.ndarray, bits: int) -> None:
    """Raises SaformerError when a sum of weights, [outputs, ...], can leave an accumulator of so many bits."""
    _require_bits(name, "its sums", *_sums(weights), bits, "acc_bits")


def sum_bits(step: Step) -> int:
    """Width of an accumulator that holds every sum of the step's weights."""
    return _signed_bits(*_sums(step.weights))


def check_fields(layer: Layer) -> None:
    """Raises SaformerError for a value that its descriptor field cannot hold."""
    for name, value in layer.fields.items():
        shape = DESCRIPTOR[name]
        low, high = (-(1 << shape.width - 1), 1 << shape.width - 1) if shape.signed else (0, 1 << shape.width)
        if not low <= value < high:
            raise SaformerError(
                f"{layer.name}: {name} is {value}, but the program format holds {low} to {high - 1}: "
                "use a smaller model, or hardware with more channels in a beat"
            )


def _sums(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest sum of each output, over all inputs that may fire."""
    flat = weights.reshape(len(weights), -1).astype(np.int64)
    return np.minimum(flat, 0).sum(axis=1), np.maximum(flat, 0).sum(axis=1)


def _check_currents(name: str, neurons: Neurons, low: np.ndarray, high: np.ndarray, config: HardwareConfig) -> None:
    for what, lowest, highest in (
        ("its sums", low, high),
        ("its biases", neurons.bias, neurons.bias),
        ("its currents", low + neurons.bias, high + neurons.bias),
        ("its thresholds", neurons.threshold, neurons.threshold),
    ):
        _require_bits(name, what, lowest, highest, config.current_bits, "current_bits")


def _source_range(step: Step) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest current of a position before the bias, for each channel."""
    if step.kind is Kind.POOL:
        limit = 1 << STREAM_BITS - 1
        return np.full(step.outputs, -limit * step.tokens), np.full(step.outputs, (limit - 1) * step.tokens)
    if step.weights is None:
        return np.zeros(step.outputs, int), np.zeros(step.outputs, int)
    return _sums(step.weights)


def _require(needed: int, available: int, parameter: str, what: str) -> None:
    if needed > available:
        raise SaformerError(
            f"the model needs {needed} {what}, the hardware has {available}: raise {parameter} to {needed}"
        )


def _require_bits(name: str, what: str, low: np.ndarray, high: np.ndarray, bits: int, parameter: str) -> None:
    """Signed values from `low` to `high` must fit `bits`."""
    needed = _signed_bits(low, high)
    if needed > bits:
        raise SaformerError(
            f"{name}: {what} reach {low.min()} to {high.max()} and need {needed} bits, the hardware has {bits}: "
            f"raise {parameter} to {needed}"
        )


def _signed_bits(low: np.ndarray, high: np.ndarray) -> int:
    """Width of a signed number for values from `low` to `high`."""
    lowest, highest = int(low.min()), int(high.max())
    return max((-lowest - 1 if lowest < 0 else lowest).bit_length(), max(highest, 0).bit_length()) + 1
