"""Where things lie in the memories of a serial accelerator, by multiplication; numbers may be arrays of them.

What the hardware does with the fields of `hw.serial.config` is compared with this.
"""

from hw.serial.config import SerialConfig


def map_address(config: SerialConfig, *, slot, small: bool, step, row, column, word):
    """Return where a word of a map lies; timesteps beyond those of the configuration continue in the words."""
    side, words = (config.side // 2, 4 * config.words) if small else (config.side, config.words)
    word, step = word + step // config.timesteps, step % config.timesteps
    return slot * config.map_depth + ((step * side + row) * side + column) * words + word


def stream_address(config: SerialConfig, *, step, row, column, channel):
    """Return where a value of the residual stream lies; channels are counted through all groups."""
    place = (row * (config.side // 2) + column) * config.stream_words + channel // config.lanes
    return (place * config.timesteps + step) * config.lanes + channel % config.lanes
