"""How a block computes its queries: the option, and what either way costs."""

from enum import StrEnum
from typing import Annotated

import numpy as np
import typer

from golden.errors import SaformerError
from golden.integer import IntegerModel, Trace
from hw.compile.lowering import Lowered, lower
from hw.estimate.inference import estimate_image
from hw.estimate.timelines import ExternalMemory
from scripts.tables import integer


class Query(StrEnum):
    """Queries of an attention: from sums of a window's input spikes, or from every token."""

    POOLED = "pooled"
    TOKENS = "tokens"


QueryOption = Annotated[
    Query, typer.Option(help="Compute queries from window sums of their input spikes, or from every token.")
]

_WAYS = {Query.POOLED: "from window sums", Query.TOKENS: "from every token"}


def query_cycles(
    model: IntegerModel,
    lowered: Lowered,
    *,
    ran: Query,
    cycles: int,
    trace: Trace,
    image: np.ndarray,
    memory: ExternalMemory,
) -> dict | None:
    """Return the cycles of an inference either way: ``cycles`` as it was run, and for the other way an estimate.

    ``trace`` is the integer model's run of ``image``, uint8 [1, C, H, W] or [1, T, C, H, W].
    None where there is no other way, because windows are not equal or the hardware has no room for their counts.
    """
    other = Query.TOKENS if ran is Query.POOLED else Query.POOLED
    try:
        lowered_other = lower(model, lowered.config, pooled_query=other is Query.POOLED)
    except SaformerError:
        return None
    if _pools(lowered_other) == _pools(lowered):
        return None
    estimated = estimate_image(lowered_other, trace, image, memory).cycles
    return {"ran": ran, "measured": cycles, "other": other, "estimated": estimated}


def _pools(lowered: Lowered) -> bool:
    """Whether any layer leaves window sums for a query."""
    return any(layer.step.counts for layer in lowered.layers)


def describe_query(figures: dict) -> str:
    """Return the two ways and their cycles, from what `query_cycles` gives."""
    return (
        f"{_WAYS[figures['ran']]}, {integer(figures['measured'])} cycles for the first image; "
        f"{_WAYS[figures['other']]} it would be about {integer(figures['estimated'])}, by estimate"
    )
