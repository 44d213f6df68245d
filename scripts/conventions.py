"""One run's energy by several conventions: the same counts, billed differently."""

from collections.abc import Mapping
from dataclasses import dataclass

from golden.config import ModelConfig
from golden.energy import ACCUMULATE_PJ, MAC_PJ
from golden.layers import LayerKind, layers

# 45 nm, from the same source as eq. 19: M. Horowitz, "Computing's energy problem", ISSCC 2014.
INTEGER_ADD_PJ = 0.1
"""A 32-bit integer addition, the next size above the accumulators."""
SMALL_MEMORY_PJ_PER_BYTE = 20 / 8
"""A read of a 32 KB memory, 64 bits wide."""
LARGE_MEMORY_PJ_PER_BYTE = 100 / 8
"""A read of a 1 MB memory, 64 bits wide."""

_MJ_PER_PJ = 1e-9


@dataclass(frozen=True)
class Convention:
    """Millijoules per image by one convention, and what it bills."""

    name: str
    millijoules: float
    bills: str


def layer_millijoules(config: ModelConfig, figures: dict) -> Mapping[str, float]:
    """Return the energy per image of every layer by eq. 19, from executed accumulates, by the layer's name."""
    macs = {layer.name: layer.macs for layer in layers(config) if layer.kind is LayerKind.PIXEL_CONV}
    return {
        layer["name"]: _MJ_PER_PJ
        * (
            MAC_PJ * macs[layer["name"]]
            if layer["name"] in macs
            else ACCUMULATE_PJ * layer["sops_golden"] / figures["images"]
        )
        for layer in figures["layers"]
    }


def conventions(figures: dict) -> list[Convention]:
    """Return the energy per image of a comparison's figures by every convention, the paper's reported one last."""
    energy, count = figures["energy_mj"], figures["images"]
    additions = sum(layer["sops_rtl"] for layer in figures["layers"]) / count
    fetches = sum(layer["weight_fetches"] for layer in figures["layers"]) / count
    adders = INTEGER_ADD_PJ * additions
    rows = [
        ("eq. 19, executed", energy["eq19"], "4.6 pJ a MAC of conv1, 0.9 pJ (32-bit float) an executed accumulate"),
        ("eq. 19, fr x T x FLOPs", energy["eq19_dense_estimate"], "the same, accumulates estimated from firing rates"),
        ("integer adders", adders * _MJ_PER_PJ, "0.1 pJ an accumulate counted by the hardware, conv1 bit by bit"),
        (
            "integer adders, weights from 32 KB memories",
            (adders + SMALL_MEMORY_PJ_PER_BYTE * fetches) * _MJ_PER_PJ,
            "and 2.5 pJ a weight byte fetched",
        ),
        (
            "integer adders, weights from a 1 MB memory",
            (adders + LARGE_MEMORY_PJ_PER_BYTE * fetches) * _MJ_PER_PJ,
            "and 12.5 pJ a weight byte fetched",
        ),
        (
            "the paper",
            energy["paper"],
            f"its claim for {energy['paper_network']} on {energy['paper_data']}: eq. 19, without memory",
        ),
    ]
    return [Convention(*row) for row in rows]
