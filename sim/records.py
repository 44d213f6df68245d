"""Records that a design has emitted, as numpy arrays."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Shape, ShapeLike
from amaranth.lib import data


@dataclass(frozen=True)
class Records:
    """Everything a stream without back-pressure has carried.

    Members: ``cycles`` (uint64 [count]) : clock cycle of each record; ``words`` (uint32 [count, words]) : payloads, the
    lowest word first; ``shape`` : of the payload, as in the component's signature.
    """

    cycles: np.ndarray
    words: np.ndarray
    shape: ShapeLike

    def __len__(self) -> int:
        return len(self.cycles)

    def field(self, name: str) -> np.ndarray:
        """Return one field of structured payloads, int64 [count], or [count, *lengths] for (nested) arrays.

        Raises KeyError when there is no such field.
        """
        field = data.Layout.cast(self.shape)[name]
        return self._extract(field.offset, field.shape)

    def values(self) -> np.ndarray:
        """Return the whole payload, int64 [count], or [count, *lengths] for (nested) arrays."""
        return self._extract(0, self.shape)

    def _extract(self, offset: int, shape: ShapeLike) -> np.ndarray:
        lengths = []
        while isinstance(shape, data.ArrayLayout):
            lengths.append(shape.length)
            shape = shape.elem_shape
        element = Shape.cast(shape)
        count = int(np.prod(lengths))
        values = extract(self.words, offset=offset, width=element.width, count=count, signed=element.signed)
        return values.reshape(len(self), *lengths)


def extract(words: np.ndarray, *, offset: int, width: int, count: int, signed: bool) -> np.ndarray:
    """Return ``count`` adjacent fields of ``width`` bits (at most 63) from rows of 32-bit words,
    as int64 [rows, count]."""
    if not 0 < width < 64:
        raise TypeError(f"a field must have 1 to 63 bits to fit an int64, not {width}")
    starts = offset + width * np.arange(count)
    # Enough words that a field can start in the middle of one.
    padded = np.pad(words, ((0, 0), (0, 3))).astype(np.uint64)
    first, shift = starts // 32, (starts % 32).astype(np.uint64)
    low = padded[:, first] | padded[:, first + 1] << np.uint64(32)
    # A shift by 64 is undefined, so the third word moves in two steps.
    high = (padded[:, first + 2] << (np.uint64(63) - shift)) << np.uint64(1)
    fields = ((low >> shift) | high) & np.uint64((1 << width) - 1)
    values = fields.astype(np.int64)
    return values - ((values >> (width - 1)) << width) if signed else values
