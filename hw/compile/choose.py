"""The hardware for a model, where the user names none."""

from golden.errors import SaformerError
from golden.integer import IntegerModel
from hw.compile.lowering import Lowered, lower
from hw.config import AUTOMATIC, HARDWARE, load_hardware


def lower_for(model: IntegerModel, name: str | None, *, pooled_query: bool = True) -> Lowered:
    """Lower a model for the named hardware, or for the smallest of `hw.config.AUTOMATIC` that it fits.

    Raises SaformerError when there is none of that name, or the model fits none; the message is that of the largest.
    """
    if name is not None:
        return lower(model, load_hardware(name), pooled_query=pooled_query)
    for candidate in AUTOMATIC[:-1]:
        try:
            return lower(model, HARDWARE[candidate], pooled_query=pooled_query)
        except SaformerError:
            continue
    return lower(model, HARDWARE[AUTOMATIC[-1]], pooled_query=pooled_query)
