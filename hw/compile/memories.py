"""The memories of an accelerator: what is on the chip, and how large."""

from hw.beats import spikes_layout, stream_layout
from hw.config import WEIGHT_BITS, HardwareConfig
from hw.program import memory_shapes


def memory_bits(config: HardwareConfig) -> dict[str, int]:
    """Bits of every memory on the chip, by name."""
    spikes = spikes_layout(config).size
    bits = {memory.name.lower(): width * depth for memory, (width, depth) in memory_shapes(config).items()}
    bits |= {
        "weights": WEIGHT_BITS * config.lanes * config.weight_depth,
        "spikes": spikes * config.word_beats * config.spike_depth,
        "stream": stream_layout(config).size * config.stream_depth,
        "query": spikes * config.query_depth,
        "lines": 2 * spikes * config.max_width * config.group_beats * config.passes,
    }
    if config.passes > 1:
        bits["state"] = config.beat_channels * config.current_bits * config.state_depth
    return bits
