"""The program of a serial accelerator: descriptors, parameters and weights in the order in which they are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from amaranth import unsigned
from amaranth.lib import data

from hw.program import SHIFT_BITS, pack_fields
from hw.serial.config import (
    STORE_BITS,
    SerialConfig,
    channel_shape,
    coordinate_shape,
    current_shape,
    group_shape,
    slot_shape,
    step_shape,
    word_shape,
)


class Mode(IntEnum):
    """Where the values of a layer come from."""

    LOAD = 0  # pixels from the input stream into spike memory
    DENSE = 1  # every spike of a window meets a row of weights
    DEPTHWISE = 2  # every word of a window meets a row of weights, each channel in its own lane
    POOL = 3  # the residual stream


class Fold(IntEnum):
    """How the sums of the positions of a tile combine."""

    NONE = 0
    MAX = 1  # max-pool
    SUM = 2  # windows
    BITS = 3  # bit-planes of a position, most significant first


TARGET = data.StructLayout(
    {
        "fire": 1,  # neurons, spikes to spike memory
        "write": 1,  # the shifted current goes to the residual stream ...
        "add": 1,  # ... added to what is there; the neurons see the sum
        "logits": 1,  # the current leaves on the logits port
    }
)
"""What happens to a current."""


def descriptor_layout(config: SerialConfig) -> data.StructLayout:
    """A layer, least significant field first."""
    slot, coordinate = slot_shape(config), coordinate_shape(config)
    return data.StructLayout(
        {
            "mode": unsigned(2),
            "final": 1,  # the last layer of the program
            "kernel3": 1,  # 3x3 with zero padding; else 1x1, or no taps of its own where DEPTHWISE
            "fold": unsigned(2),
            "position": TARGET,  # of the sum of every position
            "tile": TARGET,  # of the folded sum of every tile
            "last_step": step_shape(),  # timesteps or bit-planes of the input, minus one
            "last_tile_step": step_shape(),  # timesteps of folded sums, minus one
            "last": coordinate,  # side of the input, minus one
            "tile_mask": coordinate,  # side of a tile, a power of two, minus one
            "last_word": word_shape(config),  # words of an input position, minus one, where DENSE
            "last_input": channel_shape(config),  # channels in the last of them, minus one: the others have no rows
            "masked": 1,  # DEPTHWISE: a word of a second map is fetched first ...
            "corner": 1,  # ... from its first position, not from the same one
            "extra": unsigned(EXTRA_BITS),  # rows of weights that the input meets where the mask has spikes too
            "input": slot,
            "mask": slot,
            "output": slot,  # of the positions' spikes
            "tiles": slot,  # of the tiles' spikes
            "small_input": 1,  # of the input and of the mask
            "small_output": 1,
            "small_tiles": 1,
            "both": 1,  # parameters for positions and for tiles; else for one of them
            "last_group": group_shape(),  # groups of output channels, minus one
            "last_channel": channel_shape(config),  # channels of the last group, minus one
            "last_row": unsigned(ROWS_BITS),  # of weights in a group
        }
    )


EXTRA_BITS = 6
"""Width of the number of rows behind the mask."""

ROWS_BITS = 12
"""Width of the number of rows of a group."""

LEAST_CHANNELS = 4
"""Channels that a group has at least: what follows the lanes knows where the last value goes when the next comes."""


def bias_layout(config: SerialConfig) -> data.StructLayout:
    """The first of the two words of a channel's parameters; the second one is its threshold."""
    return data.StructLayout({"bias": current_shape(config), "shift": unsigned(SHIFT_BITS)})


def descriptor_words(config: SerialConfig) -> int:
    """Words of a descriptor in the store."""
    return -(-descriptor_layout(config).size // STORE_BITS)


def pack_descriptor(config: SerialConfig, fields: Mapping[str, int]) -> int:
    """Return a descriptor as one number; targets are numbers, and fields that are left out are 0.

    Raises ValueError for a field that does not exist, and for a value that does not fit.
    """
    plain = data.StructLayout({name: unsigned(field.width) for name, field in descriptor_layout(config)})
    return pack_fields(plain, dict.fromkeys(plain.members, 0) | fields)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer of a program; fields that are left out are zero.

    ``parameters`` is int64 [groups, sets, lanes, 3]: bias, threshold and shift of the neurons of positions, then of
    tiles, or of one of them; ``weights`` is int8 [groups, rows, lanes], without rows for channels that are
    not there.
    """

    name: str
    fields: dict[str, int]
    parameters: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Program:
    """Everything that a serial accelerator needs to run a network, in the order of execution."""

    config: SerialConfig
    layers: tuple[Layer, ...]

    def words(self) -> np.ndarray:
        """What the store holds from its first word on, uint32 [words]."""
        return np.concatenate([self._layer(layer) for layer in self.layers])

    @property
    def size(self) -> int:
        """Bytes of it."""
        return STORE_BITS // 8 * len(self.words())

    def _layer(self, layer: Layer) -> np.ndarray:
        packed = pack_descriptor(self.config, layer.fields | {"final": int(layer is self.layers[-1])})
        size = descriptor_words(self.config)
        parts = [np.frombuffer(packed.to_bytes(4 * size, "little"), np.uint32)]
        for parameters, weights in zip(layer.parameters, layer.weights, strict=True):
            bias, threshold, shift = parameters.reshape(-1, 3).T
            first = bias & (1 << self.config.current_bits) - 1 | shift << self.config.current_bits
            parts.append(np.stack([first, threshold], axis=1).astype(np.uint32).ravel())
            parts.append(np.frombuffer(np.ascontiguousarray(weights, np.int8).tobytes(), np.uint32))
        return np.concatenate(parts)
