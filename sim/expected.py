"""What the hardware must do with one image: the contents of every trace and the value of every counter."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from golden.integer import Trace
from hw.compile.allocate import channel_beats
from hw.compile.limits import STREAM_TARGETS
from hw.compile.lowering import Lowered, LoweredLayer
from hw.compile.schedule import Map
from hw.counters import Counter
from hw.estimate.activity import input_spikes, window_sums, words_read
from hw.program import Kind, Target

BACKGROUND = (Counter.MIX_SOPS, Counter.MIX_READS, Counter.MIX_WRITES)
"""Counters of the mixing unit, which runs beside the layer that writes the keys and the next one."""

PORTS = ("spikes", "mixed", "windows", "stream", "mask", "logits")


@dataclass(frozen=True, kw_only=True)
class Beats:
    """What a layer writes to one port, or a part of it: every beat exactly once.

    Members
    -------
    name : of the map, by its golden name
    values : [planes, passes, height, width, channel beats, P, T]
    addresses : of every beat, [planes, passes, height, width, channel beats]
    known : bool [passes, T], the timesteps that are of account
    """

    name: str
    values: np.ndarray
    addresses: np.ndarray
    known: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What one layer must do.

    Members
    -------
    beats : what it writes, by port (see `PORTS`)
    counters : those that the golden model predicts
    shared : counters of which only the sum over this layer and the next is predicted
    """

    beats: Mapping[str, tuple[Beats, ...]]
    counters: Mapping[Counter, int]
    shared: Mapping[Counter, int] = field(default_factory=dict)


def expect(lowered: Lowered, trace: Trace, images: np.ndarray, *, image: int) -> list[Expected]:
    """What every layer must do for one image of a golden run.

    ``trace`` is the golden run of ``images``, uint8 [B, C, H, W] or [B, T, C, H, W]; ``image`` counts within them.
    """
    golden = _Golden(lowered, trace, images, image)
    return [golden.expected(layer) for layer in lowered.layers]


class _Golden:
    """The golden results of one image, as the hardware lays them out."""

    def __init__(self, lowered: Lowered, trace: Trace, images: np.ndarray, image: int):
        self.config = lowered.config
        self.model = lowered.model
        self.trace = trace
        self.image = image
        self.images = images
        passes = -(-self.model.timesteps // self.config.timesteps)
        steps = np.arange(passes * self.config.timesteps) < self.model.timesteps
        self.modelled = steps.reshape(passes, -1)

    def expected(self, layer: LoweredLayer) -> Expected:
        """Everything that one layer must do."""
        beats = self.beats(layer)
        counters, shared = self.counters(layer, beats), {}
        if layer.step.mix is not None:
            shared = self._mix_counts(layer)
        if layer.step.mix is not None or layer.step.keys is not None:
            counters = {counter: value for counter, value in counters.items() if counter not in BACKGROUND}
        return Expected(beats=beats, counters=counters, shared=shared)

    def value(self, name: str) -> np.ndarray:
        """A golden result as int64 [1, passes, T, C, H, W] in the timesteps of the hardware; vectors are 1x1 maps."""
        value = self.trace.values[name][:, self.image].numpy().astype(np.int64)
        grids = {4: value.shape[2:], 3: (self.model.window_side,) * 2, 2: (1, 1)}
        grid = value.reshape(*value.shape[:2], *grids[value.ndim])
        return _pad(grid, axis=0, size=self.modelled.size).reshape(1, *self.modelled.shape, *grid.shape[1:])

    def spikes(self, spikes: Map) -> np.ndarray:
        """The contents of a map, int64 [planes, passes, T, C, H, W]."""
        return input_spikes(spikes, self.trace, self.images, self.model, self.config, image=self.image)

    def beats(self, layer: LoweredLayer) -> dict[str, tuple[Beats, ...]]:
        """What a layer writes, by port."""
        step, everywhere = layer.step, np.ones_like(self.modelled)
        maps = [(step.writes, layer.output_base), (step.counts, layer.count_base)]
        found = {"spikes": [self._map_beats(spikes, base) for spikes, base in maps if spikes is not None]}
        if step.mix is not None:
            found["mixed"] = [self._map_beats(step.mix.writes, layer.mix_base)]
        # Currents without spikes are biases beyond the model's timesteps; neurons are masked there.
        vectors = (("windows", everywhere), ("stream", self.modelled), ("mask", everywhere), ("logits", self.modelled))
        for port, known in vectors:
            name = getattr(step, port)
            if name is not None:
                # The mask has a place for as many channel beats as the hardware can have, in every pass.
                pitch = _power_of_two(self.config.channel_depth) if port == "mask" else None
                found[port] = [self._beats(name, self.value(name), known, pitch=pitch)]
        return {port: tuple(parts) for port, parts in found.items() if parts}

    def _map_beats(self, spikes: Map, base: int) -> Beats:
        value = self.spikes(spikes)
        known = np.ones((value.shape[1], self.config.timesteps), bool)
        return self._beats(spikes.name, value, known, base=base)

    def _beats(
        self, name: str, value: np.ndarray, known: np.ndarray, *, base: int = 0, pitch: int | None = None
    ) -> Beats:
        """Beats in the order of their addresses, from ``base`` on; ``pitch`` is the distance of passes, if given."""
        planes, passes, steps, channels, height, width = value.shape
        size = self.config.beat_channels
        padded = _pad(value, axis=3, size=size * channel_beats(channels, self.config))
        grid = padded.reshape(planes, passes, steps, -1, size, height, width).transpose(0, 1, 5, 6, 3, 4, 2)
        shape = grid.shape[:5]
        place = np.arange(np.prod(shape)).reshape(shape)
        if pitch is not None:
            place = place[:, :1] + pitch * np.arange(passes).reshape(1, -1, 1, 1, 1)
        return Beats(name=name, values=np.ascontiguousarray(grid), addresses=base + place, known=known)

    def counters(self, layer: LoweredLayer, beats: Mapping[str, tuple[Beats, ...]]) -> dict[Counter, int]:
        """Every counter that the golden model predicts, if nothing runs in the background.

        Cycles depend on the implementation, and so does the layer in which a weight arrives.
        """
        kind, step = layer.step.kind, layer.step
        counts = {counter: 0 for counter in Counter if counter not in (Counter.CYCLES, Counter.BUS_WORDS)}
        if kind is Kind.EVENT:
            counts |= self._event_counts(layer)
            del counts[Counter.STALLED], counts[Counter.IDLE], counts[Counter.WAITING]
        elif kind is Kind.POOL:
            counts[Counter.STREAM_READS] = step.passes * step.tokens * channel_beats(step.outputs, self.config)
        return counts | self._write_counts(layer, beats)

    def _event_counts(self, layer: LoweredLayer) -> dict[Counter, int]:
        step = layer.step
        groups = -(-step.outputs // self.config.lanes)
        spikes = self.spikes(step.reads)
        # A map of one pass is read again in every other.
        repeats = step.passes // step.reads.passes
        events = window_sums(spikes.any(axis=2).sum(axis=2), step.kernel)
        bits = repeats * int(window_sums(spikes.sum(axis=(2, 3)), step.kernel).sum())
        count = repeats * int(events.sum())
        return {
            Counter.EVENTS: groups * count,
            Counter.SPIKES: groups * bits,
            Counter.SOPS: step.outputs * bits,
            Counter.WEIGHT_FETCHES: step.outputs * count,
            Counter.NULLS: groups * repeats * int((events == 0).sum()),
            Counter.SPIKE_READS: groups * repeats * int(words_read(step.reads, step.kernel, self.config).sum()),
        }

    def _mix_counts(self, layer: LoweredLayer) -> dict[Counter, int]:
        keys = self.spikes(layer.step.writes)
        mask = self.value(layer.step.mask)
        reach = window_sums(np.ones(keys.shape[4:], int), 3)
        beats = keys.shape[1] * layer.step.writes.positions * channel_beats(layer.step.outputs, self.config)
        return {
            Counter.MIX_SOPS: int((keys * reach).sum() + (keys & mask).sum()),
            Counter.MIX_READS: beats,
            Counter.MIX_WRITES: beats,
        }

    def _write_counts(self, layer: LoweredLayer, beats: Mapping[str, tuple[Beats, ...]]) -> dict[Counter, int]:
        step = layer.step
        sizes = {port: sum(part.addresses.size for part in parts) for port, parts in beats.items()}
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


def _power_of_two(value: int) -> int:
    """The smallest power of two that is not below a value."""
    return 1 << (value - 1).bit_length()


def _pad(values: np.ndarray, *, axis: int, size: int) -> np.ndarray:
    """Zeros behind `values` up to `size` along an axis."""
    widths = [(0, 0)] * values.ndim
    widths[axis] = (0, size - values.shape[axis])
    return np.pad(values, widths)
