"""What a register map is made of; `hw.soc.registers` is the one of the SoC."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What the firmware may do with a field, and what the hardware has of it."""

    CONSTANT = "constant"  # read: always the same
    VALUE = "value"  # read: what the hardware says
    TAKEN = "taken"  # read: what the hardware says, which learns of every read
    STORED = "stored"  # read and written: the hardware sees what was written last
    PULSE = "pulse"  # written: a 1 is seen by the hardware for one cycle
    PUSHED = "pushed"  # written: the hardware is told of every write


@dataclass(frozen=True, kw_only=True)
class Field:
    """Bits ``low`` to ``low + width - 1`` of a register; ``reset`` is the value of a constant, or of a stored field
    after a reset."""

    name: str
    low: int
    width: int
    kind: Kind
    reset: int = 0


@dataclass(frozen=True, kw_only=True)
class Register:
    """A word of 32 bits at a byte address, relative to the first register."""

    name: str
    address: int
    fields: tuple[Field, ...]
