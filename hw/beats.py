"""The records that travel between components; every number format of the datapath is written here once."""

from amaranth import Shape, Value, signed, unsigned
from amaranth.hdl import ShapeLike
from amaranth.lib import data
from amaranth.utils import ceil_log2

from hw.config import STREAM_BITS, HardwareConfig


def address_shape(config: HardwareConfig) -> Shape:
    """A beat of any map or mask. Addresses are computed modulo this range: what lies outside wraps around."""
    masks = config.passes << ceil_log2(config.channel_depth)
    beats = (config.spike_depth * config.word_beats, config.stream_depth, config.query_depth, masks)
    return unsigned(ceil_log2(max(beats)))


def row_shape(config: HardwareConfig) -> Shape:
    """A row of the weight buffer, counted modulo its depth."""
    return unsigned(ceil_log2(config.weight_depth))


def rows_shape(config: HardwareConfig) -> Shape:
    """Weight rows since the start, modulo a range in which those that arrive and those that are wanted cannot be
    further apart than half of it: each is less than two groups ahead of the other."""
    return unsigned(ceil_log2(config.weight_depth) + RING_BITS)


def params_count_shape(config: HardwareConfig) -> Shape:
    """Beats of neuron parameters since the start, likewise."""
    return unsigned(ceil_log2(config.param_depth) + RING_BITS)


def params_shape(config: HardwareConfig) -> Shape:
    """A beat of neuron parameters, counted modulo the depth of its ring."""
    return unsigned(max(ceil_log2(config.param_depth), ceil_log2(config.tap_depth)))


def channel_shape(config: HardwareConfig) -> Shape:
    """A channel beat within a map, modulo what parameters and attention tell apart."""
    return unsigned(max(params_shape(config).width, ceil_log2(config.channel_depth)))


def pass_shape(config: HardwareConfig) -> Shape:
    """A pass: as many timesteps as the hardware has in parallel."""
    return unsigned(max(1, (config.passes - 1).bit_length()))


def state_shape(config: HardwareConfig) -> Shape:
    """A beat of the neuron state that is carried from pass to pass; nobody reads it where there is one pass."""
    return unsigned(ceil_log2(config.state_depth)) if config.passes > 1 else unsigned(1)


def beat_shape(config: HardwareConfig) -> range:
    """A beat within its group."""
    return range(max(2, config.group_beats))


RING_BITS = 3
"""Bits of a count of what has gone through a ring, above those of an address in it."""


def reached(count: Value, wanted: Value) -> Value:
    """Whether a count modulo its range has come to a wanted one, which is at most half of the range away."""
    return ~(count - wanted)[len(wanted) - 1]


TARGET = unsigned(4)
"""A `hw.program.Target`."""


def spikes_layout(config: HardwareConfig) -> data.ArrayLayout:
    """Spikes of one beat: ``spikes[channel][timestep]``."""
    return data.ArrayLayout(unsigned(config.timesteps), config.beat_channels)


def currents_layout(config: HardwareConfig) -> data.ArrayLayout:
    """Currents of one beat, ``currents[channel][timestep]``, units of the channel's weight scale."""
    return data.ArrayLayout(data.ArrayLayout(signed(config.current_bits), config.timesteps), config.beat_channels)


def sums_layout(config: HardwareConfig) -> data.ArrayLayout:
    """Accumulators of one beat, ``sums[channel][timestep]``, modulo ``2**acc_bits``."""
    return data.ArrayLayout(data.ArrayLayout(signed(config.acc_bits), config.timesteps), config.beat_channels)


def stream_layout(config: HardwareConfig) -> data.ArrayLayout:
    """Residual stream of one beat, ``stream[channel][timestep]``, units of the channel's stream scale."""
    return data.ArrayLayout(data.ArrayLayout(signed(STREAM_BITS), config.timesteps), config.beat_channels)


def current_layout(config: HardwareConfig) -> data.StructLayout:
    """One beat of currents on its way to the neurons.

    ``params`` is its beat in parameter memory, ``address`` its beat relative to the output map (absolute for
    `Target.MIX`), ``channel`` the channel beat; ``first`` and ``last`` mark the first and last tile of the map (for
    `Target.MIX`, ``last`` marks the last beat of a position and pass in the last group). ``pass_number`` is the pass,
    ``state`` the beat of carried neuron state. ``open`` and ``close`` mark the first and last position of a tile, whose
    own beat is ``tile``, relative to the map of tiles, and ``beat`` the beat within the group.
    """
    current = {"currents": currents_layout(config), "target": TARGET, "params": params_shape(config)}
    return data.StructLayout(current | route_fields(config))


def route_fields(config: HardwareConfig) -> dict[str, ShapeLike]:
    """What accompanies a beat from the engine to where it is written; see `current_layout`."""
    return {
        "address": address_shape(config),
        "channel": channel_shape(config),
        "first": unsigned(1),
        "last": unsigned(1),
        "pass_number": pass_shape(config),
        "state": state_shape(config),
        "open": unsigned(1),
        "close": unsigned(1),
        "tile": address_shape(config),
        "beat": beat_shape(config),
    }


def write_layout(config: HardwareConfig, payload: data.Layout) -> data.StructLayout:
    """A beat and the address that it goes to."""
    return data.StructLayout({"address": address_shape(config), "data": payload})


def routed_layout(config: HardwareConfig) -> data.StructLayout:
    """A beat of spikes with its route; ``address`` is absolute for spike memory, relative for queries and keys."""
    return data.StructLayout({"data": spikes_layout(config)} | route_fields(config))


def fill_layout(config: HardwareConfig) -> data.StructLayout:
    """A word of the weight bus, on its way into ``row`` of the weight buffer, as the ``word``-th of the row."""
    words = range(max(2, config.row_words))
    return data.StructLayout({"row": row_shape(config), "word": words, "data": unsigned(8 * config.bus_bytes)})


OF_POSITION = {"last": 1, "tail": 1, "close": 1}
"""What accompanies the inputs of a position; see `segment_layout`."""


def segment_layout(config: HardwareConfig) -> data.StructLayout:
    """A run of consecutive beats of the input map: its first beat, their number, the weight row of the first channel.

    ``last`` closes a position, ``tail`` says that the position belongs to the last group of output channels, ``close``
    that it is the last one of its tile.
    """
    address = address_shape(config)
    return data.StructLayout({"address": address, "beats": address, "row": row_shape(config)} | OF_POSITION)


def word_layout(config: HardwareConfig) -> data.StructLayout:
    """A word of spike memory, ``spikes[channel]`` a pattern over the timesteps, zero where it is outside its segment.

    ``row`` is the weight row of the word's first channel.
    """
    spikes = data.ArrayLayout(unsigned(config.timesteps), config.word_channels)
    return data.StructLayout({"spikes": spikes, "row": row_shape(config)} | OF_POSITION)


def event_layout(config: HardwareConfig) -> data.StructLayout:
    """One event: the weight row of an input that fires, its spikes over the timesteps, and whether it is the last of
    its position. A position in which nothing fires ends with an event whose pattern is zero."""
    return data.StructLayout({"row": row_shape(config), "pattern": unsigned(config.timesteps)} | OF_POSITION)
