"""The hardware for a model, where the user names none."""

from golden.errors import SaformerError
from golden.integer import IntegerModel
from hw.compile.lowering import lower
from hw.config import AUTOMATIC, HARDWARE, HardwareConfig, load_hardware


def choose_hardware(model: IntegerModel, name: str | None, *, pooled_query: bool = True) -> HardwareConfig:
    """Return the named hardware, or the smallest of `hw.config.AUTOMATIC` that the model fits.

    Raises SaformerError when there is none of that name, or the model fits none; the message is that of the largest.
    """
    if name is not None:
        return load_hardware(name)
    for candidate in AUTOMATIC[:-1]:
        try:
            lower(model, HARDWARE[candidate], pooled_query=pooled_query)
        except SaformerError:
            continue
        return HARDWARE[candidate]
    return HARDWARE[AUTOMATIC[-1]]
