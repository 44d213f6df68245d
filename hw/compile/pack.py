"""The contents of the memories that a program fills: weight rows, neuron parameters, depthwise taps; by blocks."""

from collections.abc import Sequence

import numpy as np

from hw.compile.allocate import channel_beats, channel_slots
from hw.compile.schedule import Neurons, Step
from hw.config import HardwareConfig
from hw.program import Block, Memory, params_layout, taps_layout


def layer_blocks(step: Step, config: HardwareConfig) -> list[Block]:
    """The blocks of a step, one for every group of output channels; a step without weights has one, if any.

    The neuron parameters of a group with weights are padded to a whole group: first those of the positions, then those
    of the tiles.
    """
    neurons = [neuron_beats(kind, config) for kind in (step.position_neurons, step.tile_neurons) if kind is not None]
    if step.weights is None:
        entries = {Memory.PARAMS: tuple(beat for kind in neurons for beat in kind)}
        return [_block(step, 0, entries, np.zeros((0, config.lanes), np.int8))] if neurons else []
    taps = tap_beats(step.mix.taps, step.mix.one, config) if step.mix else []
    mixes = neuron_beats(step.mix.neurons, config) if step.mix else []
    groups, size = -(-step.outputs // config.lanes), config.group_beats
    rows = weight_rows(step.weights, config).reshape(groups, -1, config.lanes)
    blocks = []
    for group in range(groups):
        part = slice(group * size, (group + 1) * size)
        params = tuple(beat for kind in neurons for beat in _padded(kind[part], size))
        entries = {Memory.PARAMS: params, Memory.TAPS: tuple(taps[part]), Memory.MIXES: tuple(mixes[part])}
        blocks.append(_block(step, group, entries, rows[group]))
    return blocks


def block_sections(step: Step, config: HardwareConfig) -> list[dict[Memory, int]]:
    """The entries of each memory in the blocks of a step, without packing them."""
    kinds = sum(neurons is not None for neurons in (step.position_neurons, step.tile_neurons))
    beats = channel_beats(step.outputs, config)
    if step.weights is None:
        return [{Memory.PARAMS: kinds * beats}] if kinds else []
    sections = []
    for first in range(0, beats, config.group_beats):
        taps = min(config.group_beats, beats - first) if step.mix else 0
        counts = {Memory.PARAMS: kinds * config.group_beats, Memory.TAPS: taps, Memory.MIXES: taps}
        counts[Memory.WEIGHTS] = group_rows(step, config)
        sections.append({memory: count for memory, count in counts.items() if count})
    return sections


def _block(step: Step, group: int, entries: dict[Memory, tuple[int, ...]], weights: np.ndarray) -> Block:
    """A block without the memories that have no entries."""
    filled = {memory: values for memory, values in entries.items() if values}
    return Block(layer=step.name, group=group, entries=filled, weights=weights)


def _padded(beats: Sequence[int], size: int) -> list[int]:
    return [*beats, *[0] * (size - len(beats))]


def group_rows(step: Step, config: HardwareConfig) -> int:
    """Rows of weights of one group of output channels; 0 without weights."""
    if step.weights is None:
        return 0
    return step.kernel**2 * channel_slots(step.reads.channels, config)


def weight_rows(weights: np.ndarray, config: HardwareConfig) -> np.ndarray:
    """Rows int8 [groups * taps * slots, lanes] of weights [outputs, inputs, kernel, kernel].

    For every group of output channels, every tap in raster order and every input slot (the inputs padded to whole
    beats) one row with the weights of all lanes; padding is zero.
    """
    outputs, inputs, height, width = weights.shape
    groups = -(-outputs // config.lanes)
    slots = channel_slots(inputs, config)
    padded = np.zeros((groups * config.lanes, slots, height, width), np.int8)
    padded[:outputs, :inputs] = weights
    rows = padded.reshape(groups, config.lanes, slots, height * width).transpose(0, 3, 2, 1)
    return np.ascontiguousarray(rows).reshape(-1, config.lanes)


def neuron_beats(neurons: Neurons, config: HardwareConfig) -> list[int]:
    """Packed parameter beats, one for every channel beat; padding channels never fire."""
    silent = {"bias": 0, "threshold": 2 ** (config.current_bits - 1) - 1, "shift": 0}
    channels = [
        {"bias": int(bias), "threshold": int(threshold), "shift": int(shift)}
        for bias, threshold, shift in zip(neurons.bias, neurons.threshold, neurons.shift, strict=True)
    ]
    return _pack_beats(params_layout(config), channels, silent, config)


def tap_beats(taps: np.ndarray, one: np.ndarray, config: HardwareConfig) -> list[int]:
    """Packed depthwise beats, one for every channel beat: taps [channels, 9] and 1.0 [channels] in their scale."""
    channels = [{"taps": [int(tap) for tap in row], "one": int(unit)} for row, unit in zip(taps, one, strict=True)]
    return _pack_beats(taps_layout(config), channels, {"taps": [0] * 9, "one": 0}, config)


def _pack_beats(layout, channels: list[dict], padding: dict, config: HardwareConfig) -> list[int]:
    size = config.beat_channels
    channels = channels + [padding] * (-len(channels) % size)
    return [layout.const(channels[first : first + size]).as_bits() for first in range(0, len(channels), size)]
