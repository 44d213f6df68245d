"""What operations and memories cost: presets, and tables of one's own."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from golden.errors import SaformerError
from golden.files import read_settings

# Eq. 19: 32-bit floating point at 45 nm, from M. Horowitz, "Computing's energy problem", ISSCC 2014.
MAC_PJ = 4.6
AC_PJ = 0.9
MJ_PER_PJ = 1e-9

PRESETS = Path(__file__).with_name("costs.toml")
DEFAULT_PRESET = "horowitz-45nm"

_TABLES = ("integer_add", "integer_multiply", "sram")
_WORD_BITS = 64


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Prices of integer operations and of memory, in pJ.

    Members
    -------
    name, source: of the table.
    integer_add, integer_multiply: of one operation, by the bits of its operands.
    sram: of moving 64 bits from or to a memory, by its bytes.
    dram: of moving 64 bits from or to memory outside the chip.

    Raises SaformerError: a table is empty, or a number is not positive.
    """

    name: str
    source: str
    integer_add: Mapping[int, float]
    integer_multiply: Mapping[int, float]
    sram: Mapping[int, float]
    dram: float

    def __post_init__(self):
        numbers = [("dram", self.dram)]
        for field in _TABLES:
            entries = getattr(self, field)
            if not isinstance(entries, Mapping) or not entries:
                raise SaformerError(f"costs {self.name}: {field} must be a table of sizes and pJ, not {entries!r}")
            try:
                table = {int(size): price for size, price in entries.items()}
            except ValueError:
                raise SaformerError(f"costs {self.name}: the sizes of {field} must be integers") from None
            object.__setattr__(self, field, dict(sorted(table.items())))
            numbers += [(field, number) for entry in table.items() for number in entry]
        for field, number in numbers:
            if isinstance(number, bool) or not isinstance(number, int | float) or not number > 0:
                raise SaformerError(f"costs {self.name}: {field} must have positive numbers, not {number!r}")

    def add(self, bits: int) -> float:
        """An addition of two numbers of so many bits: in proportion to them, between and beyond those of the table."""
        sizes = list(self.integer_add)
        below = max([size for size in sizes if size <= bits], default=0)
        above = min([size for size in sizes if size >= bits], default=0)
        if not below or not above:
            nearest = below or above
            return self.integer_add[nearest] * bits / nearest
        if below == above:
            return self.integer_add[bits]
        low, high = self.integer_add[below], self.integer_add[above]
        return low + (high - low) * (bits - below) / (above - below)

    def multiply(self, bits: int, other_bits: int) -> float:
        """A product of two numbers of so many bits: in proportion to both, from the smallest of the table."""
        size = min(self.integer_multiply)
        return self.integer_multiply[size] * bits * other_bits / size**2

    def sram_bit(self, size_bits: float) -> float:
        """Moving a bit from or to a memory of this size: the smallest of the table that holds it, or several of the
        largest."""
        fitting = [size for size in self.sram if 8 * size >= size_bits]
        return self.sram[min(fitting, default=max(self.sram))] / _WORD_BITS

    @property
    def dram_bit(self) -> float:
        """Moving a bit from or to memory outside the chip."""
        return self.dram / _WORD_BITS


def preset_names() -> tuple[str, ...]:
    """The names of the presets."""
    return tuple(_presets())


@functools.cache
def _presets() -> dict[str, dict]:
    return tomllib.loads(PRESETS.read_text(encoding="utf-8"))


def load_costs(name_or_path: str | Path = DEFAULT_PRESET) -> Costs:
    """The named preset, or the prices in a TOML file with the same settings (its name defaults to the file's).

    Raises SaformerError: neither a preset nor a file, not TOML, an unknown or a missing setting, or a bad value.
    """
    presets, path = _presets(), Path(name_or_path)
    if str(name_or_path) in presets:
        values = {"name": str(name_or_path)} | presets[str(name_or_path)]
    elif path.is_file():
        values = {"source": str(path)} | read_settings(path)
    else:
        names = ", ".join(presets)
        raise SaformerError(f"no costs {str(name_or_path)!r}: name one of {names}, or a TOML file of that form")
    expected = ("name", "source", *_TABLES, "dram")
    if unknown := sorted(set(values) - set(expected)):
        raise SaformerError(f"costs {values['name']} have an unknown setting {unknown[0]!r}; use {', '.join(expected)}")
    if missing := [field for field in expected if field not in values]:
        raise SaformerError(f"costs {values['name']} have no {missing[0]}; the settings are {', '.join(expected)}")
    return Costs(**values)
