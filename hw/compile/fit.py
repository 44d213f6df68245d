"""Hardware that is as small as its networks allow."""

import dataclasses
from collections.abc import Sequence

from golden.integer import IntegerModel
from hw.compile.limits import sum_bits
from hw.compile.lowering import lower
from hw.config import WEIGHT_BITS, HardwareConfig

ROOM = 1 << 24
"""Depth at which no memory is too small."""


def fit(models: Sequence[IntegerModel], config: HardwareConfig, *, pooled_query: bool = True) -> HardwareConfig:
    """Return the hardware with passes, accumulators and memories of the size that the models need.

    The weight buffer and the queue of words do not shrink. Raises SaformerError
    for a model that the hardware cannot run at any size.
    """
    deep = {field.name: ROOM for field in dataclasses.fields(config) if field.name.endswith("_depth")}
    passes = max(-(-model.config.timesteps // config.timesteps) for model in models)
    roomy = dataclasses.replace(
        config, **deep, passes=passes, max_width=ROOM, acc_bits=config.current_bits, count_bits=ROOM.bit_length()
    )
    lowered = [lower(model, roomy, pooled_query=pooled_query) for model in models]
    steps = [layer.step for each in lowered for layer in each.layers]
    needed = {name: max([2, *(each.needed.get(name, 0) for each in lowered)]) for name in (*deep, "max_width")}
    kept = {name: max(getattr(config, name), needed[name]) for name in ("weight_depth", "fifo_depth")}
    return dataclasses.replace(
        config,
        **needed | kept,
        name="fitted",
        passes=passes,
        acc_bits=max([WEIGHT_BITS + 1, *(sum_bits(step) for step in steps if step.weights is not None)]),
        count_bits=max([1, *(step.counts.planes for step in steps if step.counts)]),
    )
