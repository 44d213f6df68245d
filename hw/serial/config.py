"""The parameters of a serial accelerator, and where its maps lie."""

from dataclasses import dataclass, fields
from pathlib import Path

from amaranth import Cat, Mux, Shape, Value, signed, unsigned
from amaranth.lib import data
from amaranth.utils import ceil_log2

from golden.errors import SaformerError
from golden.files import read_settings
from hw.config import STREAM_BITS, WEIGHT_BITS, HardwareConfig, check_keys, load_hardware

STORE_BITS = 32
"""Width of a word of the program store."""

PLANES = 8
"""Bit-planes of a pixel, the most timesteps that a layer walks over."""

GROUPS = 32
"""Groups of output channels that a descriptor can count."""


@dataclass(frozen=True, kw_only=True)
class SerialConfig:
    """Sizes of a serial accelerator.

    Parameters
    ----------
    lanes : output channels that accumulate side by side, and channels in a word of spike memory; 8 or 16
    timesteps : the most timesteps of a model; a power of two
    side : side of the largest map; a power of two, at least 4
    words : words of a position in the largest map; a power of two. In a map of at most half the side a position has
        up to four times as many
    maps : maps that spike memory holds at a time; a power of two
    stream_words : groups of ``lanes`` channels in the residual stream, whose grid has at most half the side; a power of
        two
    acc_bits : width of a lane's accumulator
    current_bits : width of currents, biases, thresholds and membranes
    weight_depth : weight buffer, rows of ``lanes`` weights; a power of two, at least the rows of the largest group
    store_depth : program store, words of 32 bits

    Raises SaformerError when a size makes no sense, with the parameter and its value.
    """

    name: str = "custom"
    lanes: int = 16
    timesteps: int = 4
    side: int = 16
    words: int = 4
    maps: int = 4
    stream_words: int = 4
    acc_bits: int = 16
    current_bits: int = 22
    weight_depth: int = 512
    store_depth: int = 16384

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "name" and (type(value) is not int or value < 1):
                raise SaformerError(f"hardware: {field.name} must be a positive integer, not {value!r}")
        for name, least in (("timesteps", 1), ("side", 4), ("words", 1), ("maps", 4), ("stream_words", 1)):
            value = getattr(self, name)
            if value < least or value & (value - 1):
                raise SaformerError(f"hardware: {name} must be a power of two of at least {least}, not {value}")
        if self.lanes not in (8, 16):
            raise SaformerError(f"hardware: lanes must be 8 or 16, not {self.lanes}")
        if self.timesteps * self.words < PLANES:
            raise SaformerError(
                f"hardware: timesteps ({self.timesteps}) times words ({self.words}) must be at least {PLANES}: "
                "a map holds the bits of a pixel"
            )
        if self.weight_depth < self.lanes or self.weight_depth & (self.weight_depth - 1):
            raise SaformerError(f"hardware: weight_depth must be a power of two, not {self.weight_depth}")
        if self.store_depth < 2:
            raise SaformerError(f"hardware: store_depth must be at least 2, not {self.store_depth}")
        if not WEIGHT_BITS < self.acc_bits <= 20 or self.acc_bits < STREAM_BITS:
            raise SaformerError(f"hardware: acc_bits must be between {STREAM_BITS} and 20, not {self.acc_bits}")
        if not self.acc_bits < self.current_bits <= 28:
            raise SaformerError(
                f"hardware: current_bits must be between {self.acc_bits + 1} (acc_bits and 1) and 28, "
                f"not {self.current_bits}"
            )

    @property
    def store_bytes(self) -> int:
        """Bytes of the program store."""
        return self.store_depth * STORE_BITS // 8

    @property
    def row_parts(self) -> int:
        """Words of the store in a row of weights."""
        return WEIGHT_BITS * self.lanes // STORE_BITS

    @property
    def map_depth(self) -> int:
        """Words of spike memory that a map takes."""
        return self.timesteps * self.side**2 * self.words

    @property
    def spike_depth(self) -> int:
        """Words of spike memory."""
        return self.maps * self.map_depth

    @property
    def stream_depth(self) -> int:
        """Values of the residual stream."""
        return self.timesteps * (self.side // 2) ** 2 * self.stream_words * self.lanes


def step_shape() -> Shape:
    """A timestep of a pass over a position, or a bit-plane."""
    return unsigned(ceil_log2(PLANES))


def coordinate_shape(config: SerialConfig) -> Shape:
    """A row or a column of a map."""
    return unsigned(ceil_log2(config.side))


def channel_shape(config: SerialConfig) -> Shape:
    """A channel of a group."""
    return unsigned(ceil_log2(config.lanes))


def word_shape(config: SerialConfig) -> Shape:
    """A word of a position."""
    return unsigned(ceil_log2(config.words) + 2)


def row_shape(config: SerialConfig) -> Shape:
    """A row of the weight buffer."""
    return unsigned(ceil_log2(config.weight_depth))


def slot_shape(config: SerialConfig) -> Shape:
    """A place for a map in spike memory."""
    return unsigned(ceil_log2(config.maps))


def address_shape(config: SerialConfig) -> Shape:
    """A word of spike memory."""
    return unsigned(ceil_log2(config.spike_depth))


def current_shape(config: SerialConfig) -> Shape:
    """A current, bias, threshold or membrane, in units of the channel's weight scale."""
    return signed(config.current_bits)


def group_shape() -> Shape:
    """A group of output channels."""
    return unsigned(ceil_log2(GROUPS))


def place_layout(config: SerialConfig) -> data.StructLayout:
    """Where the sums of a position and timestep belong.

    ``row`` and ``column`` are those of the position, ``first`` and ``last`` mark the first and last one of its tile.
    """
    coordinate = coordinate_shape(config)
    return data.StructLayout({"row": coordinate, "column": coordinate, "step": step_shape(), "first": 1, "last": 1})


def spike_address(
    config: SerialConfig, *, slot: Value, small: Value, step: Value, row: Value, column: Value, word: Value
) -> Value:
    """Return where a word of a map lies: timestep, row, column and word side by side, no arithmetic.

    A ``small`` map, of at most half the side, has a bit less for row and column and two more for the word. Timesteps
    beyond those of the configuration, which only bit-planes have, continue in the words.
    """
    side, words, steps = (ceil_log2(value) for value in (config.side, config.words, config.timesteps))
    first = (word | step[steps:])[:words]
    coarse = Cat(first, column[:side], row[:side], step[:steps])
    fine = Cat(word[: words + 2], column[: side - 1], row[: side - 1], step[:steps])
    return Cat(Mux(small, fine, coarse), slot)


def stream_address(
    config: SerialConfig, *, step: Value, row: Value, column: Value, group: Value, channel: Value
) -> Value:
    """Return where a value of the residual stream lies."""
    side, words, steps = (ceil_log2(value) for value in (config.side // 2, config.stream_words, config.timesteps))
    return Cat(channel, step[:steps], group[:words], column[:side], row[:side])


SERIAL = {
    config.name: config
    for config in (
        # Fills the four single-port RAMs of an iCE40 UP5K: two for the program, one for spikes, one for the stream.
        SerialConfig(name="serial"),
        # Leaves the block RAMs of an iCE40 UP5K that a core and its queues take.
        SerialConfig(name="serial-8", lanes=8),
        # For `micro`: fills the block RAMs of a Gowin GW2A-18, together with core and queues.
        SerialConfig(name="serial-20k", lanes=8, store_depth=6144),
    )
}
"""The named configurations."""

KIND = "accelerator"
"""The key of a TOML file that says which accelerator it is for: ``accelerator = "serial"``."""


def load_serial(name: str) -> SerialConfig | None:
    """Return the named configuration of a serial accelerator, or the one in a TOML file that says it is one; None for
    everything else.

    Raises SaformerError for a file that cannot be read, and for an unknown or wrong value in it.
    """
    if name in SERIAL:
        return SERIAL[name]
    path = Path(name)
    if not path.is_file() or (values := read_settings(path)).pop(KIND, None) != "serial":
        return None
    check_keys(path, values, SerialConfig)
    return SerialConfig(**values)


def load_either(name: str) -> HardwareConfig | SerialConfig:
    """Return the configuration of either accelerator. Raises SaformerError as `load_serial` and `load_hardware` do."""
    return load_serial(name) or load_hardware(name)
