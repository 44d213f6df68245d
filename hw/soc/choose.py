"""The system on a chip for an accelerator."""

from collections.abc import Sequence

from hw.config import HardwareConfig
from hw.serial.config import SerialConfig
from hw.soc.serial import SerialSoc
from hw.soc.soc import Soc


def soc_for(
    *,
    config: HardwareConfig | SerialConfig,
    hertz: int,
    divisor: int,
    memory_bytes: int,
    firmware: Sequence[int],
) -> Soc | SerialSoc:
    """Return the SoC; ``memory_bytes`` is the size of the memory outside, which a serial accelerator does not have."""
    common = {"config": config, "hertz": hertz, "divisor": divisor, "firmware": firmware}
    return SerialSoc(**common) if isinstance(config, SerialConfig) else Soc(memory_bytes=memory_bytes, **common)
