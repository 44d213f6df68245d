"""What the hardware must do with one image: the contents of every trace and the value of every counter."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from golden.integer import Trace
from hw.allocate import channel_beats
from hw.config import HardwareConfig
from hw.counters import Counter
from hw.limits import STREAM_TARGETS
from hw.lowering import Lowered, LoweredLayer
from hw.program import Kind, Target

UNPREDICTED = (Counter.CYCLES, Counter.STALLED, Counter.IDLE)
"""Counters of time: they depend on the implementation; those of an EVENT layer have to add up."""


@dataclass(frozen=True, kw_only=True)
class Beats:
    """What a layer writes to one port: every beat exactly once.

    ``values`` is [planes, height, width, channel beats, P, T], so that a beat's address is ``base`` plus its raster
    index in the first four axes. Values of timesteps from ``steps`` on are of no account.
    """

    values: np.ndarray
    base: int = 0
    steps: int


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What one layer must do: what it writes, by port (see `PORTS`), and its counters."""

    beats: Mapping[str, Beats]
    counters: Mapping[Counter, int]


PORTS = ("spikes", "windows", "stream", "mask", "logits")


def expect(lowered: Lowered, trace: Trace, images: np.ndarray, *, image: int) -> list[Expected]:
    """What every layer must do for one image of a golden run.

    ``trace`` is the golden run of ``images``, uint8 [B, C, H, W]; ``image`` counts within them.
    """
    golden = _Golden(lowered, trace, images[image], image)
    return [Expected(beats=golden.beats(layer), counters=golden.counters(layer)) for layer in lowered.layers]


class _Golden:
    """The golden results of one image, as the hardware lays them out."""

    def __init__(self, lowered: Lowered, trace: Trace, pixels: np.ndarray, image: int):
        self.config = lowered.config
        self.model = lowered.model
        self.trace = trace
        self.image = image
        self.pixels = pixels

    def value(self, name: str) -> np.ndarray:
        """A golden result as int64 [planes, T, C, H, W] in the timesteps of the hardware; vectors are 1x1 maps."""
        if name == "pixels":
            return _bit_planes(self.pixels, self.config)
        value = self.trace.values[name][:, self.image].numpy().astype(np.int64)
        grids = {4: value.shape[2:], 3: (self.model.window_side,) * 2, 2: (1, 1)}
        height, width = grids[value.ndim]
        value = value.reshape(1, *value.shape[:2], height, width)
        return _pad(value, axis=1, size=self.config.timesteps)

    def beats(self, layer: LoweredLayer) -> dict[str, Beats]:
        """What a layer writes, by port."""
        step = layer.step
        names = {
            "spikes": step.writes.name if step.writes else None,
            "windows": step.windows,
            "stream": step.stream,
            "mask": step.mask,
            "logits": step.logits,
        }
        return {port: self._beats(layer, port, name) for port, name in names.items() if name is not None}

    def _beats(self, layer: LoweredLayer, port: str, name: str) -> Beats:
        size = self.config.beat_channels
        value = self.value(name)
        planes, steps, channels, height, width = value.shape
        padded = _pad(value, axis=2, size=size * channel_beats(channels, self.config))
        grid = padded.reshape(planes, steps, -1, size, height, width).transpose(0, 4, 5, 2, 3, 1)
        return Beats(
            values=np.ascontiguousarray(grid),
            base=layer.output_base if port == "spikes" else 0,
            # Currents without spikes are biases; neurons are masked there.
            steps=self.model.timesteps if port in ("stream", "logits") else self.config.timesteps,
        )

    def counters(self, layer: LoweredLayer) -> dict[Counter, int]:
        """Every counter that the golden model predicts."""
        kind, step = layer.step.kind, layer.step
        counts = dict.fromkeys(Counter, 0)
        if kind is Kind.EVENT:
            counts |= self._event_counts(layer)
            del counts[Counter.STALLED], counts[Counter.IDLE]
        elif kind is Kind.MIX:
            counts |= self._mix_counts(layer)
        elif kind is Kind.POOL:
            counts[Counter.STREAM_READS] = step.tokens * channel_beats(step.outputs, self.config)
        del counts[Counter.CYCLES]
        return counts | self._write_counts(layer)

    def _event_counts(self, layer: LoweredLayer) -> dict[Counter, int]:
        step = layer.step
        groups = -(-step.outputs // self.config.lanes)
        spikes = self.value(step.reads.name)
        events = window_sums(spikes.any(axis=1).sum(axis=1), step.kernel)
        bits = int(window_sums(spikes.sum(axis=(1, 2)), step.kernel).sum())
        return {
            Counter.EVENTS: groups * int(events.sum()),
            Counter.SPIKES: groups * bits,
            Counter.SOPS: step.outputs * bits,
            Counter.WEIGHT_FETCHES: step.outputs * int(events.sum()),
            Counter.NULLS: groups * int((events == 0).sum()),
            Counter.SPIKE_READS: groups * words_read(layer, self.config),
        }

    def _mix_counts(self, layer: LoweredLayer) -> dict[Counter, int]:
        keys = self.value(layer.step.reads.name)
        mask = self.value(layer.step.reads.name.removesuffix("k") + "mask")
        reach = window_sums(np.ones(keys.shape[3:], int), 3)
        return {
            Counter.SOPS: int((keys * reach).sum() + (keys & mask).sum()),
            Counter.SPIKE_READS: layer.step.reads.positions * channel_beats(layer.step.outputs, self.config),
        }

    def _write_counts(self, layer: LoweredLayer) -> dict[Counter, int]:
        step = layer.step
        sizes = {port: beats.values[..., 0, 0].size for port, beats in self.beats(layer).items()}
        counts = {Counter.SPIKE_WRITES: sizes.get("spikes", 0)}
        if step.targets & STREAM_TARGETS:
            opens = Target.STREAM_OPEN in step.targets
            counts[Counter.STREAM_WRITES] = sizes["stream"]
            counts[Counter.STREAM_READS] = 0 if opens else sizes["stream"]
            counts[Counter.SATURATIONS] = int(self.trace.saturations[step.stream][:, self.image].sum())
        if step.mask is not None:
            query = self.value(step.windows.removesuffix("ka") + "qa")
            counts[Counter.HITS] = int((query & self.value(step.windows)).sum())
        return counts


def window_sums(values: np.ndarray, kernel: int) -> np.ndarray:
    """Sums of [..., H, W] over the window of each position, zero outside; ``kernel`` is 1 or 3."""
    if kernel == 1:
        return values
    height, width = values.shape[-2:]
    padded = np.pad(values, [(0, 0)] * (values.ndim - 2) + [(1, 1), (1, 1)])
    return sum(padded[..., y : y + height, x : x + width] for y in range(3) for x in range(3))


def words_read(layer: LoweredLayer, config: HardwareConfig) -> int:
    """Words of spike memory that hold the input rows of every position, for one group of output channels."""
    spikes, reach = layer.step.reads, layer.step.kernel // 2
    pixel = channel_beats(spikes.channels, config)
    rows, columns = np.arange(spikes.planes * spikes.height), np.arange(spikes.width)
    left, right = np.maximum(columns - reach, 0), np.minimum(columns + reach, spikes.width - 1)
    row_starts = layer.input_base + rows[:, None] * spikes.width * pixel
    first, last = row_starts + left * pixel, row_starts + (right + 1) * pixel - 1
    words = last // config.word_beats - first // config.word_beats + 1
    # A row of the input is read for as many rows of the output as its window reaches.
    readers = window_sums(np.ones((spikes.height, 1), int), layer.step.kernel)
    return int((words.reshape(spikes.planes, spikes.height, -1) * readers).sum())


def _bit_planes(pixels: np.ndarray, config: HardwareConfig) -> np.ndarray:
    """Chunks of ``timesteps`` bits of pixels [C, H, W], most significant first: int64 [chunks, T, C, H, W]."""
    shifts = config.timesteps * np.arange(config.chunks)[::-1, None] + np.arange(config.timesteps)
    return pixels.astype(np.int64) >> shifts[..., None, None, None] & 1


def _pad(values: np.ndarray, *, axis: int, size: int) -> np.ndarray:
    """Zeros behind `values` up to `size` along an axis."""
    widths = [(0, 0)] * values.ndim
    widths[axis] = (0, size - values.shape[axis])
    return np.pad(values, widths)
