"""The area of an accelerator without synthesis: a linear model of LUTs and flip-flops, and the memories by geometry."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from hw.beats import spikes_layout, stream_layout
from hw.config import WEIGHT_BITS, HardwareConfig
from hw.program import memory_shapes

BLOCK_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
"""Depths and widths of a block RAM of the ECP5 family."""

SMALLEST_BLOCK = 2048
"""Bits below which a memory is made of LUTs."""

COEFFICIENTS: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "lanes": {"accumulator_bits": (1.05, 1.0), "lanes": (6.0, 12.0), "sum_bits": (1.0, 2.0)},
    "drain": {"sum_bits": (3.2, 3.0), "base": (400, 300)},
    "walker and fetcher": {"word_bits": (3.0, 4.0), "base": (1100, 700)},
    "emitter": {"word_bits": (2.2, 1.5), "word_channels": (3.0, 1.0)},
    "neurons": {"current_bits": (3.6, 4.2), "base": (150, 150)},
    "mixing": {"current_bits": (3.0, 2.4), "base": (500, 300)},
    "attention": {"beat_bits": (8.0, 6.0), "base": (150, 120)},
    "pool": {"current_bits": (1.1, 1.0), "base": (120, 100)},
    "weight reader": {"bus_bits": (0.5, 1.0), "base": (300, 250)},
    "control": {"base": (1600, 2600)},
}
"""LUT4 and flip-flops of every component, for each unit of the sizes that `features` gives."""


@dataclass(frozen=True, kw_only=True)
class Area:
    """LUT4, flip-flops and 18 kbit block RAMs of an accelerator, and LUTs and flip-flops by component."""

    luts: float
    flip_flops: float
    block_rams: int
    components: Mapping[str, tuple[float, float]]

    def to_json(self) -> dict:
        """Plain values."""
        return asdict(self)


def features(config: HardwareConfig) -> dict[str, int]:
    """The sizes that area is linear in."""
    beat = config.beat_channels * config.timesteps
    return {
        "base": 1,
        "lanes": config.lanes,
        "accumulator_bits": config.lanes * config.timesteps * config.acc_bits,
        "sum_bits": beat * config.acc_bits,
        "current_bits": beat * config.current_bits,
        "beat_bits": beat,
        "word_bits": config.word_channels * config.timesteps,
        "word_channels": config.word_channels,
        "bus_bits": 8 * config.bus_bytes,
    }


def memories(config: HardwareConfig) -> dict[str, list[tuple[int, int]]]:
    """Width in bits and depth of every memory, in the pieces that are built."""
    beats, spikes = config.group_beats, spikes_layout(config).size
    pieces = {memory.name.lower(): [shape] for memory, shape in memory_shapes(config).items()}
    pieces |= {
        "weights": [(WEIGHT_BITS * config.beat_channels, config.weight_depth)] * beats,
        "spikes": [(spikes, config.spike_depth)] * config.word_beats,
        "stream": [(stream_layout(config).size, config.stream_depth)],
        "query": [(spikes, config.query_depth)],
        "lines": [(spikes, config.max_width * beats * config.passes)] * 2,
    }
    if config.passes > 1:
        pieces["state"] = [(config.beat_channels * config.current_bits, config.state_depth)]
    return pieces


def memory_bits(config: HardwareConfig) -> dict[str, int]:
    """Bits of every memory on the chip."""
    return {name: sum(width * depth for width, depth in pieces) for name, pieces in memories(config).items()}


def block_rams(width: int, depth: int) -> int:
    """Block RAMs that hold a memory with one port to write and one to read; none where LUTs do."""
    if width * depth < SMALLEST_BLOCK:
        return 0
    return min(-(-width // wide) * -(-depth // deep) for deep, wide in BLOCK_SHAPES)


def area(config: HardwareConfig) -> Area:
    """The estimated area of an accelerator."""
    sizes = features(config)
    components = {
        name: tuple(sum(pair[kind] * sizes[size] for size, pair in terms.items()) for kind in (0, 1))
        for name, terms in COEFFICIENTS.items()
    }
    return Area(
        luts=sum(luts for luts, _ in components.values()),
        flip_flops=sum(flip_flops for _, flip_flops in components.values()),
        block_rams=sum(block_rams(*piece) for pieces in memories(config).values() for piece in pieces),
        components=components,
    )
