"""The nodes of a chain, with the real numbers that their file has."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from golden.config import Reset
from golden.errors import SaformerError

Shape = tuple[int, ...]
"""[C, H, W] of a map, or [features]."""

Pair = tuple[int, int]
"""Of height and width."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Node(ABC):
    """One node; `name` is what its file calls it."""

    name: str

    @abstractmethod
    def shape(self, reads: Shape) -> Shape:
        """The shape of what it puts out for this shape of its input. Raises SaformerError, with its name."""

    def refuse(self, reason: str) -> SaformerError:
        """The error that this node cannot be used, and why."""
        return SaformerError(f"node {self.name!r}: {reason}")


def _map(node: Node, reads: Shape) -> Shape:
    if len(reads) != 3:
        raise node.refuse(f"needs a map [channels, height, width], but reads the shape {list(reads)}")
    return reads


def _windows(node: Node, size: int, kernel: int, stride: int, padding: int) -> int:
    if kernel > size + 2 * padding:
        raise node.refuse(f"its window of {kernel} is larger than the {size + 2 * padding} positions that it reads")
    return (size + 2 * padding - kernel) // stride + 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Convolution(Node):
    """A convolution: weight [Co, Ci / groups, kh, kw], bias [Co]; stride, and zero padding on every side."""

    weight: np.ndarray
    bias: np.ndarray
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    groups: int = 1

    def shape(self, reads: Shape) -> Shape:
        channels, *sides = _map(self, reads)
        if channels != self.weight.shape[1] * self.groups:
            raise self.refuse(f"has weights for {self.weight.shape[1] * self.groups} channels, but reads {channels}")
        kernel = self.weight.shape[2:]
        new = (_windows(self, *each) for each in zip(sides, kernel, self.stride, self.padding, strict=True))
        return (len(self.weight), *new)


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense(Node):
    """A linear map: weight [features out, features in], bias [features out] or None."""

    weight: np.ndarray
    bias: np.ndarray | None = None

    def shape(self, reads: Shape) -> Shape:
        if reads != self.weight.shape[1:]:
            raise self.refuse(f"has weights for {self.weight.shape[1]} features, but reads the shape {list(reads)}")
        return self.weight.shape[:1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool(Node):
    """Sum over windows, or their mean (`average`), without padding."""

    kernel: Pair
    stride: Pair
    average: bool

    def shape(self, reads: Shape) -> Shape:
        channels, *sides = _map(self, reads)
        new = (_windows(self, *each, 0) for each in zip(sides, self.kernel, self.stride, strict=True))
        return (channels, *new)


@dataclass(frozen=True, kw_only=True, eq=False)
class Flatten(Node):
    """A map as features, channel by channel."""

    def shape(self, reads: Shape) -> Shape:
        return (int(np.prod(reads)),)


@dataclass(frozen=True, kw_only=True, eq=False)
class Neurons(Node):
    """LIF, `tau dv/dt = v_leak - v + r x`, or IF without `tau` and `v_leak`, which adds `r x` at a step.

    A step of `dt` is `v = keep v + (1 - keep) (v_leak + r x)` with `keep = 1 - dt / tau` (explicit Euler). All have the
    shape that they read, or one that broadcasts to it from the left: () or [1] for one number, [C] for one a channel.
    At the threshold they fire. A hard reset is to 0, a soft one takes the threshold away before the next leak.
    """

    r: np.ndarray
    v_threshold: np.ndarray
    v_reset: np.ndarray
    tau: np.ndarray | None = None
    v_leak: np.ndarray | None = None
    reset: Reset = Reset.HARD

    def shape(self, reads: Shape) -> Shape:
        for field in ("r", "v_threshold", "v_reset", "tau", "v_leak"):
            values = getattr(self, field)
            if values is not None:
                self.by_channel(field, values, reads)
        return reads

    def by_channel(self, field: str, values: np.ndarray, reads: Shape) -> np.ndarray:
        """A parameter, one for each channel, double [C]. Raises SaformerError: another shape, or values that differ
        within a channel."""
        values = np.asarray(values, np.float64)
        if values.size == 1:
            return np.full(reads[0], values.item())
        if values.shape not in (reads[:1], reads):
            raise self.refuse(f"{field} has the shape {list(values.shape)}, but it reads {list(reads)}")
        flat = values.reshape(reads[0], -1)
        if (flat != flat[:, :1]).any():
            raise self.refuse(f"{field} differs within a channel; one value for a channel is supported")
        return flat[:, 0]
