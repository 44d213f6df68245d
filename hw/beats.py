"""The records that travel between components; every number format of the datapath is written here once."""

from amaranth import signed, unsigned
from amaranth.lib import data

from hw.config import STREAM_BITS, HardwareConfig
from hw.program import ADDRESS

CHANNEL = unsigned(12)
"""Channel beat within a map."""

PASS = unsigned(4)
"""A pass: as many timesteps as the hardware has in parallel."""

STATE = unsigned(16)
"""Beat of the neuron state that is carried from pass to pass."""

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
    return data.StructLayout({"currents": currents_layout(config), "target": TARGET, "params": unsigned(16)} | ROUTE)


ROUTE = {
    "address": ADDRESS,
    "channel": CHANNEL,
    "first": 1,
    "last": 1,
    "pass_number": PASS,
    "state": STATE,
    "open": 1,
    "close": 1,
    "tile": ADDRESS,
    "beat": unsigned(8),
}
"""Fields that accompany a beat from the engine to where it is written; see `current_layout`."""


def write_layout(payload: data.Layout) -> data.StructLayout:
    """A beat and the address that it goes to."""
    return data.StructLayout({"address": ADDRESS, "data": payload})


def routed_layout(config: HardwareConfig) -> data.StructLayout:
    """A beat of spikes with its route; ``address`` is absolute for spike memory, relative for queries and keys."""
    return data.StructLayout({"data": spikes_layout(config)} | ROUTE)


def fill_layout(config: HardwareConfig) -> data.StructLayout:
    """A word of the weight bus, on its way into ``row`` of the weight buffer, as the ``word``-th of the row."""
    words = range(max(2, config.row_words))
    return data.StructLayout({"row": ADDRESS, "word": words, "data": unsigned(8 * config.bus_bytes)})


OF_POSITION = {"last": 1, "tail": 1, "close": 1}
"""What accompanies the inputs of a position; see `segment_layout`."""


def segment_layout() -> data.StructLayout:
    """A run of consecutive beats of the input map: its first beat, their number, the weight row of the first channel.

    ``last`` closes a position, ``tail`` says that the position belongs to the last group of output channels, ``close``
    that it is the last one of its tile.
    """
    return data.StructLayout({"address": ADDRESS, "beats": unsigned(16), "row": ADDRESS} | OF_POSITION)


def word_layout(config: HardwareConfig) -> data.StructLayout:
    """A word of spike memory, ``spikes[channel]`` a pattern over the timesteps, zero where it is outside its segment.

    ``row`` is the weight row of the word's first channel, modulo the address range.
    """
    spikes = data.ArrayLayout(unsigned(config.timesteps), config.word_channels)
    return data.StructLayout({"spikes": spikes, "row": ADDRESS} | OF_POSITION)


def event_layout(config: HardwareConfig) -> data.StructLayout:
    """One event: the weight row of an input that fires, its spikes over the timesteps, and whether it is the last of
    its position. A position in which nothing fires ends with an event whose pattern is zero."""
    return data.StructLayout({"row": ADDRESS, "pattern": unsigned(config.timesteps)} | OF_POSITION)
