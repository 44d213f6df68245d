"""The program format: what the sequencer reads from memory, and how it is packed.

A program is a list of layer descriptors and the contents of four memories. Lowering fills it in, `Program.words` is
the stream of 32-bit words that loads it, and the hardware takes the same field lists as its layouts, so a field is
written once.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from amaranth import signed, unsigned
from amaranth.lib import data
from bitstring import BitArray

from hw.config import WEIGHT_BITS, HardwareConfig


class Kind(IntEnum):
    """What a layer does."""

    LOAD = 0  # pixels from the input stream into spike memory
    EVENT = 1  # events of a spike map through the lanes
    POOL = 2  # sum of the residual stream over the tokens


class Fold(IntEnum):
    """How the sums of the sub-positions of one tile combine."""

    NONE = 0
    MAX = 1  # max-pool
    SUM = 2  # aggregation windows
    BITS = 3  # bit-planes of a pixel, most significant first; the result is the same current at every timestep
    COUNTS = 4  # bit-planes of spike counts, most significant first, each timestep on its own


class Target(IntEnum):
    """Where a current goes."""

    NONE = 0
    SPIKES = 1  # LIF, spikes to spike memory
    STREAM_OPEN = 2  # LIF of the current itself; the shifted current becomes the residual stream
    STREAM_ADD = 3  # the shifted current is added to the residual stream; LIF of the sum
    STREAM_CLOSE = 4  # as STREAM_ADD, without spikes
    QUERY = 5  # LIF, spikes to query memory
    KEY = 6  # LIF, spikes to the attention unit
    LOGITS = 7  # the current leaves on the logits port
    MIX = 8  # as SPIKES, for a record of the mixing unit: its address is absolute


ADDRESS = unsigned(24)
DELTA = signed(24)
LEVELS = ("tile_row", "tile_col", "pass", "sub_row", "sub_col", "chunk")
"""The loops over the positions of a layer, outermost first; the groups of output channels are the loop around them."""

DESCRIPTOR = {
    "kind": unsigned(2),
    "final": unsigned(1),  # the last layer of the program; set by `Program`
    "fold": unsigned(3),
    "kernel3": unsigned(1),  # 3x3 with zero padding; else 1x1
    "position_target": unsigned(4),  # of the current of every position
    "tile_target": unsigned(4),  # of the folded current of every tile
    "last_pass": unsigned(4),  # passes, minus one
    "step_mask": unsigned(16),  # timesteps of the last pass that the model has, one bit each
    "last_group": unsigned(8),  # groups of output channels, minus one
    "last_beats": unsigned(8),  # beats of the last group
    "group_channels": unsigned(12),  # output channels in every group but the last
    "last_channels": unsigned(12),  # output channels in the last group
    **{f"last_{level}": unsigned(12) for level in LEVELS if level != "pass"},  # iterations of each loop, minus one
    "input_base": ADDRESS,  # beat of the first position's input
    **{f"input_{level}": DELTA for level in LEVELS},  # step of the input address when this loop advances
    "pixel_beats": unsigned(12),  # beats of one position of the input
    "row_beats": unsigned(16),  # beats of one row of the input
    "weight_base": ADDRESS,  # row of the first group in external memory
    "weight_rows": ADDRESS,  # rows of one group
    "output_base": ADDRESS,  # beat of the first position's spikes
    "output_beats": unsigned(16),  # beats of one position of the output
    **{f"output_{level}": DELTA for level in LEVELS},  # step of the output address when this loop advances
    "tile_pass": DELTA,  # step of a tile's address to the next pass
    "tile_next": DELTA,  # step of a tile's address from its last pass to the next tile
    "position_params": unsigned(16),
    "tile_params": unsigned(16),
    "pixels": unsigned(20),  # LOAD: positions, of all passes
    "pixel_channels": unsigned(8),  # LOAD: items a position
    "plane_beats": ADDRESS,  # LOAD: beats of one bit-plane
    "frames": unsigned(1),  # LOAD: items are spike patterns, not pixels
    "tokens": unsigned(20),  # POOL: positions of the stream
    "stream_pass": ADDRESS,  # POOL: beats of the stream between two passes
    "counted": unsigned(1),  # the spikes written are counted in every tile, for the pooled query
    "count_base": ADDRESS,  # beat of the counts, plane 0: their highest bits
    "count_plane": ADDRESS,  # beats of a plane of the counts
    "last_plane": unsigned(4),  # planes of the counts, minus one
    "mixed": unsigned(1),  # the layer writes the keys: every group of them is mixed when it is complete
    "awaits_mix": unsigned(1),  # a position of the first group waits until it has been mixed
    "mix_base": ADDRESS,  # beat of the first mixed position
    "width": unsigned(12),  # token grid of the keys
    "height": unsigned(12),
    "key_pass": ADDRESS,  # beats of the keys, and of what is mixed, between two passes
    "tap_base": unsigned(16),  # depthwise weights
    "mix_params": unsigned(16),  # neurons behind the mixing unit
    "mask_threshold": unsigned(16),  # of the attention neuron, in sixteenths
}
"""Fields of a layer descriptor, least significant first. A step replaces the steps of all loops inside its own: it is
the loop's stride less the way that the inner loops have gone."""

DESCRIPTOR_LAYOUT = data.StructLayout(DESCRIPTOR)
DESCRIPTOR_WORDS = -(-DESCRIPTOR_LAYOUT.size // 32)


class Memory(IntEnum):
    """A memory that a program fills; the number is its code in a header word."""

    DESCRIPTORS = 0
    ROWS = 1  # not a memory but one number: the rows of weights in external memory
    PARAMS = 2
    TAPS = 3


SHIFT_BITS = 2


def params_layout(config: HardwareConfig) -> data.ArrayLayout:
    """One beat of neuron parameters."""
    current = signed(config.current_bits)
    record = data.StructLayout({"bias": current, "threshold": current, "shift": unsigned(SHIFT_BITS)})
    return data.ArrayLayout(record, config.beat_channels)


def taps_layout(config: HardwareConfig) -> data.ArrayLayout:
    """One beat of depthwise parameters: taps in raster order, and 1.0 in their scale."""
    record = data.StructLayout(
        {"taps": data.ArrayLayout(signed(WEIGHT_BITS), 9), "one": signed(config.current_bits)},
    )
    return data.ArrayLayout(record, config.beat_channels)


def memory_shapes(config: HardwareConfig) -> dict[Memory, tuple[int, int]]:
    """Width in bits and depth of every memory that a program fills; `Memory.ROWS` is none."""
    return {
        Memory.DESCRIPTORS: (32, config.program_depth),
        Memory.PARAMS: (params_layout(config).size, config.param_depth),
        Memory.TAPS: (taps_layout(config).size, config.tap_depth),
    }


def pack_fields(layout: data.StructLayout, values: dict[str, int]) -> int:
    """Pack integers into a flat structure, first field least significant.

    Raises ValueError when a value belongs to no field, and (from bitstring) when it does not fit its field.
    """
    if unknown := sorted(values.keys() - layout.members.keys()):
        raise ValueError(f"no field {unknown[0]!r} in the layout")
    packed = BitArray()
    for name, field in reversed(list(layout)):
        kind = "int" if field.shape.signed else "uint"
        packed += BitArray(**{kind: values[name], "length": field.width})
    return packed.uint


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One descriptor with the name of the layer it came from; fields that are left out are zero."""

    name: str
    fields: dict[str, int]

    def words(self, *, final: bool) -> list[int]:
        """The descriptor as 32-bit words, least significant first."""
        value = pack_fields(DESCRIPTOR_LAYOUT, {name: 0 for name in DESCRIPTOR} | self.fields | {"final": int(final)})
        return split_words(value, DESCRIPTOR_WORDS)


@dataclass(frozen=True, kw_only=True)
class Program:
    """Everything an accelerator needs to run a network.

    ``weights`` is int8 [rows, lanes], the contents of external memory, row after row; ``params`` and ``taps`` hold one
    packed integer a beat.
    """

    config: HardwareConfig
    layers: tuple[Layer, ...]
    weights: np.ndarray
    params: tuple[int, ...]
    taps: tuple[int, ...]

    def words(self) -> np.ndarray:
        """The 32-bit words that load the program: for every memory a header `{code 4, entries 28}` and its data."""
        shapes = memory_shapes(self.config)
        count = len(self.layers)
        numbered = enumerate(self.layers, start=1)
        descriptors = [word for number, layer in numbered for word in layer.words(final=number == count)]
        stream = [Memory.DESCRIPTORS << 28 | len(descriptors), *descriptors]
        stream += [Memory.ROWS << 28 | 1, len(self.weights)]
        for memory, beats in ((Memory.PARAMS, self.params), (Memory.TAPS, self.taps)):
            stream.append(memory << 28 | len(beats))
            for beat in beats:
                stream += split_words(beat, -(-shapes[memory][0] // 32))
        return np.array(stream, np.uint32)


def split_words(value: int, count: int) -> list[int]:
    """Cut an integer into 32-bit words, least significant first."""
    return [value >> 32 * i & 0xFFFFFFFF for i in range(count)]
