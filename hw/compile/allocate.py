"""Static allocation of spike memory: every map has its place from the step that writes it to the last that reads it."""

from collections.abc import Sequence

from hw.compile.schedule import Map, Step
from hw.config import HardwareConfig


def map_beats(spikes: Map, config: HardwareConfig) -> int:
    """Beats of a map in spike memory; every position has whole beats."""
    return spikes.planes * spikes.passes * spikes.positions * channel_beats(spikes.channels, config)


def channel_beats(channels: int, config: HardwareConfig) -> int:
    """Beats that hold the channels of one position."""
    return -(-channels // config.beat_channels)


def channel_slots(channels: int, config: HardwareConfig) -> int:
    """Channels of one position, padded to whole beats."""
    return channel_beats(channels, config) * config.beat_channels


def allocate(steps: Sequence[Step], config: HardwareConfig) -> dict[str, int]:
    """The base beat of every map, by name: first fit, in the order of writing, each base at the start of a word."""
    lives = _lifetimes(steps)
    bases: dict[str, int] = {}
    placed: list[tuple[int, int, int]] = []  # base, end, last use
    for step_number, step in enumerate(steps):
        for written in step.written:
            size = -(-map_beats(written, config) // config.word_beats) * config.word_beats
            # A step reads its input while it writes its output, so what it reads last is still in the way.
            taken = sorted((base, end) for base, end, last in placed if last >= step_number)
            base = _first_gap(taken, size)
            bases[written.name] = base
            placed.append((base, base + size, lives[written.name]))
    return bases


def spike_words(steps: Sequence[Step], bases: dict[str, int], config: HardwareConfig) -> int:
    """Words of spike memory that an allocation needs."""
    ends = [bases[written.name] + map_beats(written, config) for step in steps for written in step.written]
    return -(-max(ends) // config.word_beats)


def _lifetimes(steps: Sequence[Step]) -> dict[str, int]:
    """The number of the last step that needs each map."""
    lives = {}
    for number, step in enumerate(steps):
        lives |= {spikes.place: number for spikes in step.needed}
    return lives


def _first_gap(taken: Sequence[tuple[int, int]], size: int) -> int:
    """The lowest base with `size` free beats, given sorted intervals of beats."""
    base = 0
    for start, end in taken:
        if start - base >= size:
            break
        base = max(base, end)
    return base
