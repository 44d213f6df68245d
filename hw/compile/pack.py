"""The contents of the memories that a program fills: weight rows, neuron parameters, depthwise taps."""

import numpy as np

from hw.compile.allocate import channel_beats
from hw.compile.schedule import Neurons
from hw.config import HardwareConfig
from hw.program import params_layout, taps_layout


def weight_rows(weights: np.ndarray, config: HardwareConfig) -> np.ndarray:
    """Rows int8 [groups * taps * slots, lanes] of weights [outputs, inputs, kernel, kernel].

    For every group of output channels, every tap in raster order and every input slot (the inputs padded to whole
    beats) one row with the weights of all lanes; padding is zero.
    """
    outputs, inputs, height, width = weights.shape
    groups = -(-outputs // config.lanes)
    slots = channel_beats(inputs, config) * config.beat_channels
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
