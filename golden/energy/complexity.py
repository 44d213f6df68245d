"""How the operations of an attention grow with the tokens, measured on spikes of one rate (table 4 of the paper)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from golden.attention.registry import find_core, find_mechanism
from golden.config import Attention, ModelConfig
from golden.counts import mix_counts
from golden.integer import attention_mask
from golden.layers import LayerKind, layers

TOKENS = (16, 64, 256, 1024)
WINDOWS = (1, 4, 16, 64, 256)
WINDOWED_TOKENS = 256


def operations(attention: Attention, *, tokens: int, windows: int, rate: float) -> int:
    """Operations between the projections of one block, on random spikes of this rate, at all timesteps.

    Accumulates, additions of wider numbers, and for SASA the pairs of QA and KA that fire; for VSA all products, at any
    rate. `tokens` and `windows` are square numbers.
    """
    side = 4 * round(tokens**0.5)
    config = ModelConfig(name="any", attention=attention, dim=64, depth=1, image_size=side, windows=windows)
    generator = torch.Generator().manual_seed(0)

    def spikes(*shape: int) -> Tensor:
        drawn = torch.rand(config.timesteps, 1, config.dim, *shape, generator=generator)
        return (drawn < rate).to(torch.uint8)

    if config.attention is Attention.VSA:
        return config.timesteps * find_mechanism(config).operations(config)
    if core := find_core(config):
        work = core.work({part: spikes(config.grid, config.grid) for part in core.parts}, heads=config.heads)
        return int((work.accumulates + work.additions).sum())
    sides = (config.window_side, config.window_side)
    k, qa, ka = spikes(config.grid, config.grid), spikes(*sides), spikes(*sides)
    [mix] = [layer for layer in layers(config) if layer.kind is LayerKind.MIX]
    mixed = mix_counts(mix, config, k, attention_mask(config, qa, ka))["sops"]
    return int(mixed.sum()) + int((qa & ka).sum())


def exponent(sizes: Sequence[int], work: Sequence[float]) -> float:
    """The power of the size that the work grows with: the slope of a straight line through their logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(work), 1)[0])


def measure_complexity(rate: float) -> list[dict]:
    """Operations of every mechanism against the tokens N, and of SASA against the windows n; with the exponents."""
    rows = []
    for attention in Attention:
        work = [operations(attention, tokens=tokens, windows=4, rate=rate) for tokens in TOKENS]
        rows.append(_row(attention, "N", TOKENS, work))
    sasa = Attention.SASA
    work = [operations(sasa, tokens=WINDOWED_TOKENS, windows=windows, rate=rate) for windows in WINDOWS]
    return [*rows, _row(sasa, "n", WINDOWS, work)]


def _row(attention: Attention, axis: str, sizes: Sequence[int], work: Sequence[int]) -> dict:
    grows = {"exponent": exponent(sizes, work)}
    return {"attention": str(attention), "axis": axis, "sizes": list(sizes), "operations": list(work)} | grows
