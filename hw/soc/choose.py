"""The system on a chip for an accelerator."""

from collections.abc import Sequence

from golden.errors import SaformerError
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
    flash: int | None = None,
) -> Soc | SerialSoc:
    """Return the SoC; ``memory_bytes`` is the size of the memory outside, which a serial accelerator does not have, and
    ``flash`` says where its firmware is in a flash chip.

    Raises SaformerError for firmware in a flash chip and an accelerator that is not serial.
    """
    common = {"config": config, "hertz": hertz, "divisor": divisor, "firmware": firmware}
    if isinstance(config, SerialConfig):
        return SerialSoc(flash=flash, **common)
    if flash is not None:
        raise SaformerError(f"{config.name}: this board has no room for firmware beside it: name a serial accelerator")
    return Soc(memory_bytes=memory_bytes, **common)
