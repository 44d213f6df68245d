"""What the engine finds at the input of a layer: events, spikes and words of every position, measured or expected."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import lgamma

import numpy as np
import torch

from golden.config import ModelConfig
from golden.errors import SaformerError
from golden.integer import Trace
from golden.integer import window_sums as pool_windows
from hw.compile.allocate import channel_beats
from hw.compile.schedule import Map, Step
from hw.config import HardwareConfig

PIXEL_BITS = 8


class Activity(ABC):
    """The input of one EVENT step, one entry for each visit of a position, in the order in which the engine visits.

    Members
    -------
    words : int64 [visits], words of spike memory that a visit reads
    inputs : int64 [visits], inputs inside the map that a visit reaches
    events : [visits], inputs that fire at any timestep of the pass
    spikes : [visits], set bits of these inputs
    nulls : visits without any event
    """

    words: np.ndarray
    inputs: np.ndarray
    events: np.ndarray
    spikes: np.ndarray
    nulls: float

    @abstractmethod
    def cost(self, least: np.ndarray) -> np.ndarray:
        """Cycles of every visit, if one event is taken a cycle and a visit lasts at least ``least`` [visits] cycles."""


@dataclass(frozen=True, kw_only=True)
class Measured(Activity):
    """What fires in a run of the integer model."""

    words: np.ndarray
    inputs: np.ndarray
    events: np.ndarray
    spikes: np.ndarray

    @property
    def nulls(self) -> float:
        return int((self.events == 0).sum())

    def cost(self, least: np.ndarray) -> np.ndarray:
        return np.maximum(self.events, least)


@dataclass(frozen=True, kw_only=True)
class Expected(Activity):
    """What is to be expected where every input fires independently: ``probability`` at any timestep of the pass,
    ``mean`` times in the pass, float64 [visits] both."""

    words: np.ndarray
    inputs: np.ndarray
    probability: np.ndarray
    mean: np.ndarray

    @property
    def events(self) -> np.ndarray:
        return self.inputs * self.probability

    @property
    def spikes(self) -> np.ndarray:
        return self.inputs * self.mean

    @property
    def nulls(self) -> float:
        return float(((1 - self.probability) ** self.inputs).sum())

    def cost(self, least: np.ndarray) -> np.ndarray:
        kinds, place = np.unique(np.stack([self.inputs, self.probability, least]), axis=1, return_inverse=True)
        costs = [expected_maximum(int(inputs), float(share), int(floor)) for inputs, share, floor in kinds.T]
        return np.array(costs)[place.ravel()]


@cache
def expected_maximum(inputs: int, probability: float, floor: int) -> float:
    """The mean of max(N, floor), where N is how many of ``inputs`` fire, each with ``probability``."""
    if probability in (0.0, 1.0):
        return max(inputs * probability, floor)
    fire = np.arange(inputs + 1)
    ways = np.array([lgamma(inputs + 1) - lgamma(k + 1) - lgamma(inputs - k + 1) for k in fire])
    shares = np.exp(ways + fire * np.log(probability) + (inputs - fire) * np.log1p(-probability))
    return float((shares * np.maximum(fire, floor)).sum() / shares.sum())


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How often the inputs of a layer fire: at one timestep, and (``any``) at any timestep of a pass.

    Without ``any`` the timesteps are taken as independent: ``1 - (1 - rate)**T``. Trained networks fire less often than
    that at *any* step, because a neuron that fires tends to fire again.
    """

    rate: float
    any: float | None = None

    def __post_init__(self):
        for what, value in (("rate", self.rate), ("p_any", self.rate if self.any is None else self.any)):
            if not 0 <= value <= 1:
                raise SaformerError(
                    f"a firing rate is a share from 0 to 1, but {what} is {value}: divide percent by 100"
                )
        if self.any is not None and self.any < self.rate:
            raise SaformerError(
                f"p_any ({self.any}) is less than rate ({self.rate}), but what fires at a step fires at any step"
            )

    def at_any(self, timesteps: int) -> float:
        """Share of the inputs that fire at any of so many timesteps. Raises SaformerError when it cannot be reached."""
        if self.any is None:
            return 1 - (1 - self.rate) ** timesteps
        if self.any > self.rate * timesteps:
            raise SaformerError(
                f"p_any ({self.any}) is more than {timesteps} timesteps at rate {self.rate} can give: lower it"
            )
        return self.any


def measure(
    steps: Sequence[Step],
    trace: Trace,
    images: np.ndarray,
    model: ModelConfig,
    config: HardwareConfig,
    *,
    image: int = 0,
) -> list[Activity | None]:
    """The activity of every step (None where it is not an EVENT) in a golden run of ``images``.

    ``images`` is uint8 [B, C, H, W] of pixels, and unused for frames; ``image`` counts within them.
    """
    return [
        None
        if step.weights is None
        else _measured(step, input_spikes(step.reads, trace, images, model, config, image=image), config)
        for step in steps
    ]


def expect(
    steps: Sequence[Step], rates: Mapping[str, Rate], model: ModelConfig, config: HardwareConfig
) -> list[Activity | None]:
    """The activity of every step (None where it is not an EVENT) from the firing rates of the layers' inputs, by name.

    The rate of conv1 is that of the set bits of the pixels where its input is pixels. A pooled query has the rate of
    the block's input; the bits of its window sums follow from it.

    Raises SaformerError for a layer without a rate.
    """
    return [None if step.weights is None else _expected(step, rates, model, config) for step in steps]


def input_spikes(
    spikes: Map, trace: Trace, images: np.ndarray, model: ModelConfig, config: HardwareConfig, *, image: int
) -> np.ndarray:
    """The contents of a map in a golden run: int64 [planes, passes, T, C, H, W], T the timesteps of the hardware."""
    if spikes.name == "pixels":
        shifts = config.timesteps * np.arange(config.chunks)[::-1, None] + np.arange(config.timesteps)
        bits = images[image].astype(np.int64) >> shifts[..., None, None, None] & 1
        return bits[:, None]
    source = spikes.name.removesuffix("counts") + "input" if spikes.name.endswith(".counts") else spikes.name
    value = trace.values[source][:, image]
    if spikes.name.endswith(".counts"):
        value = pool_windows(value.to(torch.int32), model.window_kernel)
    planes = np.arange(spikes.planes)[::-1].reshape(-1, 1, 1, 1, 1)
    steps = value.numpy().astype(np.int64).reshape(len(value), spikes.channels, spikes.height, spikes.width)
    padded = np.pad(steps, [(0, spikes.passes * config.timesteps - len(steps)), (0, 0), (0, 0), (0, 0)])
    return (padded >> planes & 1).reshape(spikes.planes, spikes.passes, config.timesteps, *steps.shape[1:])


def window_sums(values: np.ndarray, kernel: int) -> np.ndarray:
    """Sums of [..., H, W] over the window of each position, zero outside; ``kernel`` is 1 or 3."""
    return row_sums(row_sums(values, kernel).swapaxes(-1, -2), kernel).swapaxes(-1, -2)


def row_sums(values: np.ndarray, kernel: int) -> np.ndarray:
    """Sums of [..., H, W] over the rows that the window of each position reaches."""
    if kernel == 1:
        return values
    padded = np.pad(values, [(0, 0)] * (values.ndim - 2) + [(1, 1), (0, 0)])
    return padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]


def words_read(spikes: Map, kernel: int, config: HardwareConfig) -> np.ndarray:
    """Words of spike memory that hold the input rows of each position: int64 [planes, passes, H, W].

    A map begins at the start of a word (`hw.compile.allocate.allocate`) and has no gaps.
    """
    reach, pixel = kernel // 2, channel_beats(spikes.channels, config)
    rows, columns = np.arange(spikes.planes * spikes.passes * spikes.height), np.arange(spikes.width)
    left, right = np.maximum(columns - reach, 0), np.minimum(columns + reach, spikes.width - 1)
    starts = rows[:, None] * spikes.width
    first, last = (starts + left) * pixel, (starts + right + 1) * pixel - 1
    words = last // config.word_beats - first // config.word_beats + 1
    return row_sums(words.reshape(spikes.planes, spikes.passes, spikes.height, -1), kernel)


def visits(step: Step, values: np.ndarray) -> np.ndarray:
    """Values [planes, passes, H, W] in the order in which the engine visits the positions; see `hw.program.LEVELS`."""
    planes, _, height, width = values.shape
    side = step.tile_side
    every = np.broadcast_to(values, (planes, step.passes, height, width))
    tiled = every.reshape(planes, step.passes, height // side, side, width // side, side)
    return tiled.transpose(2, 4, 1, 3, 5, 0).ravel()


def _shape(step: Step, config: HardwareConfig) -> dict[str, np.ndarray]:
    """What does not depend on the spikes."""
    spikes = step.reads
    inside = np.ones((spikes.planes, spikes.passes, spikes.height, spikes.width), np.int64)
    return {
        "words": visits(step, words_read(spikes, step.kernel, config)),
        "inputs": visits(step, spikes.channels * window_sums(inside, step.kernel)),
    }


def _measured(step: Step, spikes: np.ndarray, config: HardwareConfig) -> Measured:
    events, bits = spikes.any(axis=2).sum(axis=2), spikes.sum(axis=(2, 3))
    return Measured(
        events=visits(step, window_sums(events, step.kernel)),
        spikes=visits(step, window_sums(bits, step.kernel)),
        **_shape(step, config),
    )


def _expected(step: Step, rates: Mapping[str, Rate], model: ModelConfig, config: HardwareConfig) -> Expected:
    if step.name not in rates:
        raise SaformerError(f"no firing rate of the input of {step.name}: add the layer, or give one rate for all")
    spikes, rate = step.reads, rates[step.name]
    bits = _bits(step, model, config)
    if spikes.name.endswith(".counts"):
        shares = _count_bits(rate.rate, model.window_tokens)[:, None]
        share, mean = 1 - (1 - shares) ** bits, shares * bits
    else:
        share = np.vectorize(rate.at_any)(bits)
        mean = rate.rate * bits
    full = (spikes.planes, spikes.passes, spikes.height, spikes.width)
    grids = {
        name: visits(step, np.broadcast_to(value[..., None, None], full))
        for name, value in (("probability", share), ("mean", mean))
    }
    return Expected(**grids, **_shape(step, config))


def _bits(step: Step, model: ModelConfig, config: HardwareConfig) -> np.ndarray:
    """Bits of a pattern that the model uses, [planes, passes]: bits of a pixel, or timesteps of a pass."""
    spikes = step.reads
    if spikes.name == "pixels":
        first = PIXEL_BITS - (config.chunks - 1) * config.timesteps
        return np.array([first] + [config.timesteps] * (config.chunks - 1))[:, None]
    rest = model.timesteps - (spikes.passes - 1) * config.timesteps
    return np.tile([config.timesteps] * (spikes.passes - 1) + [rest], (spikes.planes, 1))


def _count_bits(rate: float, tokens: int) -> np.ndarray:
    """Probability of every bit of a window's sum, most significant first, where each token fires at ``rate``."""
    counts = np.arange(tokens + 1)
    ways = np.array([lgamma(tokens + 1) - lgamma(k + 1) - lgamma(tokens - k + 1) for k in counts])
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = (
            ways
            + np.where(counts, counts * np.log(rate), 0)
            + np.where(counts < tokens, (tokens - counts) * np.log1p(-rate), 0)
        )
    shares = np.exp(logs)
    return np.array([shares[counts >> bit & 1 == 1].sum() for bit in reversed(range(tokens.bit_length()))])
