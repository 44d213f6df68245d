"""The records that travel between components; every number format of the datapath is written here once."""

from amaranth import signed, unsigned
from amaranth.lib import data

from hw.config import STREAM_BITS, HardwareConfig
from hw.program import ADDRESS

CHANNEL = unsigned(8)
"""Channel beat within a map."""

TARGET = unsigned(3)
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

    ``params`` is its beat in parameter memory, ``address`` its beat relative to the output map, ``channel`` the channel
    beat; ``first`` and ``last`` mark the first and last tile of the map.
    """
    return data.StructLayout(
        {
            "currents": currents_layout(config),
            "target": TARGET,
            "params": unsigned(16),
            "address": ADDRESS,
            "channel": CHANNEL,
            "first": 1,
            "last": 1,
        }
    )


def write_layout(payload: data.Layout) -> data.StructLayout:
    """A beat and the address that it goes to."""
    return data.StructLayout({"address": ADDRESS, "data": payload})


def key_layout(config: HardwareConfig) -> data.StructLayout:
    """A beat of aggregated keys for the attention unit; the fields are those of `current_layout`."""
    return data.StructLayout(
        {"address": ADDRESS, "data": spikes_layout(config), "channel": CHANNEL, "first": 1, "last": 1}
    )


def segment_layout() -> data.StructLayout:
    """A run of consecutive beats of the input map: its first beat, their number, the weight row of the first channel.

    ``last`` closes a position, ``tail`` says that the position belongs to the last group of output channels.
    """
    return data.StructLayout({"address": ADDRESS, "beats": unsigned(16), "row": ADDRESS, "last": 1, "tail": 1})


def word_layout(config: HardwareConfig) -> data.StructLayout:
    """A word of spike memory, ``spikes[channel]`` a pattern over the timesteps, zero where it is outside its segment.

    ``row`` is the weight row of the word's first channel, modulo the address range.
    """
    spikes = data.ArrayLayout(unsigned(config.timesteps), config.word_channels)
    return data.StructLayout({"spikes": spikes, "row": ADDRESS, "last": 1, "tail": 1})


def event_layout(config: HardwareConfig) -> data.StructLayout:
    """One event: the weight row of an input that fires, its spikes over the timesteps, and whether it is the last of
    its position. A position in which nothing fires ends with an event whose pattern is zero."""
    return data.StructLayout({"row": ADDRESS, "pattern": unsigned(config.timesteps), "last": 1, "tail": 1})
