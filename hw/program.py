"""The program format: what the sequencer reads from memory, and how it is packed.

A program is a list of layer descriptors, and for every layer and group of output channels a block of what the engine
needs for it. Lowering fills it in, `Program.payload` is what lies in external memory, and the hardware takes the same
field lists as its layouts, so a field is written once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from amaranth import Shape, signed, unsigned
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

LAST = {"tile_row": 10, "tile_col": 10, "pass": 4, "sub_row": 8, "sub_col": 8, "chunk": 4}
"""Width of the last iteration of each loop."""

INTERVAL = unsigned(12)
"""Cycles between the ends of two positions."""

DESCRIPTOR = {
    "kind": unsigned(2),
    "final": unsigned(1),  # the last layer of the program; set by `Program`
    "fold": unsigned(3),
    "kernel3": unsigned(1),  # 3x3 with zero padding; else 1x1
    "position_target": unsigned(4),  # of the current of every position
    "tile_target": unsigned(4),  # of the folded current of every tile
    **{f"last_{level}": unsigned(LAST[level]) for level in LEVELS},  # iterations of each loop, minus one
    "step_mask": unsigned(16),  # timesteps of the last pass that the model has, one bit each
    "last_group": unsigned(8),  # groups of output channels, minus one
    "last_beats": unsigned(9),  # beats of the last group
    "group_channels": unsigned(12),  # output channels in every group but the last
    "last_channels": unsigned(12),  # output channels in the last group
    "interval": INTERVAL,  # fewest cycles from the end of a position to that of the next
    "closing_interval": INTERVAL,  # the same where the first of them is the last one of its tile
    "input_base": ADDRESS,  # beat of the first position's input
    **{f"input_{level}": DELTA for level in LEVELS},  # step of the input address when this loop advances
    "pixel_beats": unsigned(12),  # beats of one position of the input
    "row_beats": unsigned(16),  # beats of one row of the input
    "weight_base": ADDRESS,  # row of the first group, counted from the start of the program
    "weight_rows": ADDRESS,  # rows of one group
    "group_params": unsigned(10),  # beats of neuron parameters of one group
    "output_base": ADDRESS,  # beat of the first position's spikes
    "output_beats": unsigned(16),  # beats of one position of the output
    **{f"output_{level}": DELTA for level in LEVELS},  # step of the output address when this loop advances
    "tile_pass": DELTA,  # step of a tile's address to the next pass
    "tile_next": DELTA,  # step of a tile's address from its last pass to the next tile
    "position_params": unsigned(16),  # beat of the first group's parameters, counted from the start of the program
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
    "tap_base": unsigned(16),  # beat of the depthwise weights and of the neurons behind them, counted likewise
    "free_taps": unsigned(16),  # beats of them that are not needed any more at the end of the layer
    "mask_threshold": unsigned(16),  # of the attention neuron, in sixteenths
}
"""Fields of a layer descriptor, least significant first. A step replaces the steps of all loops inside its own: it is
the loop's stride less the way that the inner loops have gone."""

DESCRIPTOR_LAYOUT = data.StructLayout(DESCRIPTOR)


class Memory(IntEnum):
    """A memory that a program fills; the number is its code in the header of a section."""

    DESCRIPTORS = 0
    PARAMS = 1  # of the neurons behind the engine and the pool
    TAPS = 2  # depthwise weights
    MIXES = 3  # parameters of the neurons behind them
    WEIGHTS = 4


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
    """Width in bits and depth of every memory that a program fills; weights come in rows."""
    params = params_layout(config).size
    return {
        Memory.DESCRIPTORS: (8 * config.bus_bytes, config.program_depth),
        Memory.PARAMS: (params, config.param_depth),
        Memory.TAPS: (taps_layout(config).size, config.tap_depth),
        Memory.MIXES: (params, config.tap_depth),
        Memory.WEIGHTS: (WEIGHT_BITS * config.lanes, config.weight_depth),
    }


COUNT_BITS = 28
"""Width of the number of entries in the header of a section; the memory's code is above it."""


def entry_words(memory: Memory, config: HardwareConfig) -> int:
    """Bus words of one entry of a memory."""
    return -(-memory_shapes(config)[memory][0] // (8 * config.bus_bytes))


def section_words(memory: Memory, count: int, config: HardwareConfig) -> int:
    """Bus words of a section with so many entries, its header included."""
    return 1 + count * entry_words(memory, config)


def descriptor_words(config: HardwareConfig) -> int:
    """Bus words of one descriptor."""
    return -(-DESCRIPTOR_LAYOUT.size // (8 * config.bus_bytes))


def pack_fields(layout: data.StructLayout, values: dict[str, int]) -> int:
    """Pack integers into a flat structure, first field least significant.

    Raises ValueError when a value belongs to no field, and (from bitstring) when it does not fit its field.
    """
    if unknown := sorted(values.keys() - layout.members.keys()):
        raise ValueError(f"no field {unknown[0]!r} in the layout")
    packed = BitArray()
    for name, field in reversed(list(layout)):
        kind = "int" if Shape.cast(field.shape).signed else "uint"
        packed += BitArray(**{kind: values[name], "length": field.width})
    return packed.uint


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One descriptor with the name of the layer it came from; fields that are left out are zero."""

    name: str
    fields: dict[str, int]

    def packed(self, *, final: bool) -> int:
        """The descriptor as one integer, first field least significant."""
        return pack_fields(DESCRIPTOR_LAYOUT, {name: 0 for name in DESCRIPTOR} | self.fields | {"final": int(final)})


@dataclass(frozen=True, kw_only=True)
class Block:
    """What a layer needs for one group of output channels.

    ``entries`` has packed integers for every memory but that of the weights, ``weights`` is int8 [rows, lanes].
    """

    layer: str
    group: int
    entries: Mapping[Memory, tuple[int, ...]]
    weights: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a program's payload: entries of one memory behind a header of one bus word.

    ``layer`` is the name of the layer and ``group`` the group of output channels ("" and 0 for the descriptors),
    ``data`` everything from the header on.
    """

    layer: str
    group: int
    memory: Memory
    count: int
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Program:
    """Everything an accelerator needs to run a network; ``blocks`` in the order in which the engine takes them."""

    config: HardwareConfig
    layers: tuple[Layer, ...]
    blocks: tuple[Block, ...]

    def sections(self) -> Iterator[Section]:
        """The parts of the payload: the descriptors, then block by block parameters before weights.

        When the first row of a block has arrived everything else of the block is there.
        """
        numbered = enumerate(self.layers, start=1)
        descriptors = [layer.packed(final=number == len(self.layers)) for number, layer in numbered]
        size = descriptor_words(self.config)
        packed = b"".join(self._entry(value, size) for value in descriptors)
        yield self._section("", 0, Memory.DESCRIPTORS, size * len(descriptors), packed)
        for block in self.blocks:
            for memory, values in block.entries.items():
                size = entry_words(memory, self.config)
                packed = b"".join(self._entry(value, size) for value in values)
                yield self._section(block.layer, block.group, memory, len(values), packed)
            if len(block.weights):
                rows = np.ascontiguousarray(block.weights, np.int8).tobytes()
                yield self._section(block.layer, block.group, Memory.WEIGHTS, len(block.weights), rows)

    @property
    def rows(self) -> int:
        """Weight rows of all blocks."""
        return sum(len(block.weights) for block in self.blocks)

    @property
    def size(self) -> int:
        """Bytes of the payload."""
        words = 1 + descriptor_words(self.config) * len(self.layers)
        for block in self.blocks:
            words += sum(section_words(memory, len(values), self.config) for memory, values in block.entries.items())
            words += section_words(Memory.WEIGHTS, len(block.weights), self.config) if len(block.weights) else 0
        return words * self.config.bus_bytes

    def payload(self) -> bytes:
        """What the accelerator reads, from its first to its last byte."""
        return b"".join(section.data for section in self.sections())

    def _section(self, layer: str, group: int, memory: Memory, count: int, data: bytes) -> Section:
        header = self._entry(memory << COUNT_BITS | count, 1)
        return Section(layer=layer, group=group, memory=memory, count=count, data=header + data)

    def _entry(self, value: int, words: int) -> bytes:
        return value.to_bytes(words * self.config.bus_bytes, "little")
