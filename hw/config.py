"""The parameters of one accelerator: everything that is fixed when it is built."""

from dataclasses import dataclass, fields
from pathlib import Path

from golden.errors import SaformerError
from golden.files import read_settings

STREAM_BITS = 16
"""Width of the residual stream, a number format of the integer model."""

WEIGHT_BITS = 8
"""Width of a weight, a number format of the integer model."""

MAX_TIMESTEPS = 16
"""Timesteps of a model, a limit of the program format."""

MAX_GROUP_BEATS = 256
"""Beats of a group that a descriptor can count."""


@dataclass(frozen=True, kw_only=True)
class HardwareConfig:
    """Sizes of an accelerator.

    Parameters
    ----------
    lanes : output channels that accumulate side by side; a multiple of ``beat_channels``
    timesteps : timesteps in parallel, the width of a spike pattern
    passes : the most passes of ``timesteps`` that a model may take; a model with more timesteps than the hardware runs
        in passes that carry the neurons' state
    beat_channels : channels that the neuron path handles in one cycle (a *beat*); a power of two
    word_channels : channels in one word of spike memory; ``beat_channels`` times a power of two
    acc_bits : width of a lane's accumulator
    current_bits : width of currents, biases and thresholds behind the accumulators
    weight_depth : weight buffer, rows of ``lanes`` weights; a power of two, at least the rows of the largest group
    bus_bytes : width of the memory bus in bytes, 4 to 32; a power of two that divides ``lanes``
    burst_words : most bus words of one burst, 1 to 256
    outstanding : full bursts that may be on their way at a time
    state_depth : neuron states carried from pass to pass, beats; built only where there is more than one pass
    count_bits : width of the pooled spike counts of the query
    spike_depth : spike memory, words of ``word_channels`` channels and all timesteps
    stream_depth : residual stream memory, beats
    param_depth : ring of neuron parameters, beats; a power of two
    tap_depth : rings of depthwise weights and of the parameters of the neurons behind them, beats; a power of two
    query_depth : aggregated query memory, beats
    channel_depth : channel beats of the widest map that attention handles
    max_width : widest token grid of the depthwise convolution's line buffers
    program_depth : descriptor memory, bus words
    fifo_depth : spike words prefetched ahead of the emitter

    Raises SaformerError when a size makes no sense, with the parameter and its value.
    """

    name: str = "custom"
    lanes: int = 64
    timesteps: int = 4
    passes: int = 1
    beat_channels: int = 4
    word_channels: int = 32
    acc_bits: int = 20
    current_bits: int = 24
    weight_depth: int = 8192
    bus_bytes: int = 8
    burst_words: int = 16
    outstanding: int = 4
    state_depth: int = 512
    count_bits: int = 7
    spike_depth: int = 8192
    stream_depth: int = 8192
    param_depth: int = 512
    tap_depth: int = 128
    query_depth: int = 2048
    channel_depth: int = 128
    max_width: int = 16
    program_depth: int = 1024
    fifo_depth: int = 16

    def __post_init__(self):
        if not isinstance(self.name, str):
            raise SaformerError(f"hardware: name must be a string, not {self.name!r}")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "name" and (type(value) is not int or value < 1):
                raise SaformerError(f"hardware: {field.name} must be a positive integer, not {value!r}")
            if field.name.endswith("_depth") and value < 2:
                raise SaformerError(f"hardware: {field.name} must be at least 2, not {value}")
        if self.lanes % self.beat_channels:
            raise SaformerError(
                f"hardware: lanes ({self.lanes}) must be a multiple of beat_channels ({self.beat_channels})"
            )
        ratio, rest = divmod(self.word_channels, self.beat_channels)
        if rest or ratio & (ratio - 1):
            raise SaformerError(
                f"hardware: word_channels ({self.word_channels}) must be beat_channels ({self.beat_channels}) "
                "times a power of two"
            )
        if self.timesteps > MAX_TIMESTEPS:
            raise SaformerError(f"hardware: timesteps must be at most {MAX_TIMESTEPS}, not {self.timesteps}")
        if self.passes > (most := -(-MAX_TIMESTEPS // self.timesteps)):
            raise SaformerError(
                f"hardware: {self.passes} passes of {self.timesteps} timesteps are more than {MAX_TIMESTEPS} timesteps "
                f"need: reduce passes to {most}"
            )
        if self.lanes > 1024 or self.lanes % 4:
            raise SaformerError(f"hardware: lanes must be a multiple of 4 and at most 1024, not {self.lanes}")
        for name in ("beat_channels", "weight_depth", "param_depth", "tap_depth", "bus_bytes"):
            if (value := getattr(self, name)) & (value - 1):
                raise SaformerError(f"hardware: {name} must be a power of two, not {value}")
        if self.lanes % self.bus_bytes:
            raise SaformerError(f"hardware: lanes ({self.lanes}) must be a multiple of bus_bytes ({self.bus_bytes})")
        if not 4 <= self.bus_bytes <= 32:
            raise SaformerError(f"hardware: bus_bytes must be between 4 and 32, not {self.bus_bytes}")
        for name, most in (("burst_words", 256), ("outstanding", 64)):
            if (value := getattr(self, name)) > most:
                raise SaformerError(f"hardware: {name} must be at most {most}, not {value}")
        if self.group_beats > MAX_GROUP_BEATS:
            raise SaformerError(
                f"hardware: lanes ({self.lanes}) must be at most {MAX_GROUP_BEATS} times "
                f"beat_channels ({self.beat_channels})"
            )
        if not STREAM_BITS < self.current_bits <= 32:
            raise SaformerError(f"hardware: current_bits must be between 17 and 32, not {self.current_bits}")
        if not WEIGHT_BITS < self.acc_bits <= self.current_bits:
            raise SaformerError(
                f"hardware: acc_bits must be between 9 and current_bits ({self.current_bits}), not {self.acc_bits}"
            )
        if self.fifo_depth < 6:
            raise SaformerError(f"hardware: fifo_depth must be at least 6, not {self.fifo_depth}")

    @property
    def group_beats(self) -> int:
        """Beats of one full group of output channels."""
        return self.lanes // self.beat_channels

    @property
    def row_words(self) -> int:
        """Bus words in one row of weights."""
        return self.lanes // self.bus_bytes

    @property
    def word_beats(self) -> int:
        """Beats in one word of spike memory."""
        return self.word_channels // self.beat_channels

    @property
    def chunks(self) -> int:
        """Spike patterns that one 8-bit pixel fills, most significant first."""
        return -(-8 // self.timesteps)


_BEAT = {"beat_channels": 1, "word_channels": 16, "param_depth": 1024, "tap_depth": 512, "channel_depth": 512}
"""Beats of one channel: positions last longer than a group has channels, and a wider drain would wait for them."""

_PAIR = {"beat_channels": 2, "word_channels": 16, "param_depth": 512, "tap_depth": 256, "channel_depth": 256}
"""Beats of two: the neurons keep up with the mixing beside the projection, and with layers of few spikes."""

_PAPER = _BEAT | {
    "acc_bits": 17,
    "current_bits": 22,
    "weight_depth": 4096,  # the 3,456 rows of a group of conv5
    "spike_depth": 9728,
    "stream_depth": 24576,
    "query_depth": 8192,
}
"""Memories and widths for ``4-384`` and 32x32 pixels."""

HARDWARE = {
    config.name: config
    for config in (
        HardwareConfig(name="small", lanes=16, bus_bytes=4, word_channels=16, spike_depth=4096),
        HardwareConfig(name="narrow", lanes=32, bus_bytes=4, beat_channels=2, query_depth=4096),
        HardwareConfig(
            name="default",
            acc_bits=16,
            current_bits=22,
            weight_depth=2048,
            spike_depth=4096,
            stream_depth=4096,
            query_depth=4096,
            **_BEAT,
        ),
        HardwareConfig(
            name="default-32",
            lanes=32,
            acc_bits=16,
            current_bits=22,
            weight_depth=2048,
            spike_depth=4096,
            stream_depth=4096,
            query_depth=4096,
            **_BEAT,
        ),
        # For networks of 24 channels and 16x16 pixels, on devices with few block RAMs.
        HardwareConfig(
            name="little",
            lanes=8,
            timesteps=2,
            passes=2,
            acc_bits=16,
            current_bits=22,
            weight_depth=2048,
            bus_bytes=4,
            beat_channels=1,
            word_channels=8,
            spike_depth=1024,
            stream_depth=1024,
            param_depth=64,
            tap_depth=32,
            query_depth=256,
            channel_depth=32,
            max_width=8,
            program_depth=512,
        ),
        # 384 channels are two groups; the weights of a beat of two channels share a block RAM.
        HardwareConfig(
            name="wide",
            lanes=192,
            bus_bytes=16,
            acc_bits=17,
            current_bits=22,
            weight_depth=1024,
            spike_depth=4096,
            stream_depth=4096,
            query_depth=4096,
            **_BEAT | {"beat_channels": 2},
        ),
        HardwareConfig(name="paper-16", lanes=16, program_depth=512, **_PAPER),
        HardwareConfig(name="paper-32", lanes=32, program_depth=512, **_PAPER),
        HardwareConfig(
            name="paper",
            bus_bytes=16,
            program_depth=256,
            **_PAPER | _PAIR | {"stream_depth": 12288, "query_depth": 4096},
        ),
        HardwareConfig(name="paper-128", lanes=128, bus_bytes=32, program_depth=256, **_PAPER),
        HardwareConfig(
            name="events",
            passes=4,
            acc_bits=17,
            weight_depth=4096,
            state_depth=4096,
            spike_depth=131072,
            stream_depth=131072,
            query_depth=8192,
            **_PAIR,
        ),
    )
}
"""The named hardware configurations."""

AUTOMATIC = ("default", "paper", "events")
"""Those of 64 lanes, the smallest first: a model runs on the first that it fits, unless the user names another."""


def load_hardware(name: str) -> HardwareConfig:
    """Return the named configuration, or the one in a TOML file whose keys are the fields.

    Raises SaformerError for an unknown name, an unreadable file and an unknown or wrong value.
    """
    if name in HARDWARE:
        return HARDWARE[name]
    path = Path(name)
    if not path.is_file():
        raise SaformerError(f"no hardware configuration {name!r}: use one of {', '.join(HARDWARE)}, or a TOML file")
    values = read_settings(path)
    check_keys(path, values, HardwareConfig)
    return HardwareConfig(**values)


def check_keys(path: Path, values: dict[str, object], config: type) -> None:
    """Raises SaformerError for a key of a file that is no field of a configuration."""
    known = [field.name for field in fields(config)]
    if unknown := sorted(set(values) - set(known)):
        raise SaformerError(f"{path}: unknown key {unknown[0]!r}; the keys are {', '.join(known)}")
