"""The energy that the paper would bill (eq. 18 and 19), and the figures it reports."""

from dataclasses import dataclass

from golden.config import ModelConfig
from golden.counts import Counts
from golden.layers import LayerKind

# 45 nm, 32-bit floating point: M. Horowitz, "Computing's energy problem", ISSCC 2014.
MAC_PJ = 4.6
ACCUMULATE_PJ = 0.9
_MJ_PER_PJ = 1e-9


@dataclass(frozen=True, kw_only=True)
class PaperFigure:
    """What the SAFormer paper reports for one of its networks: millijoules per image, and accuracy in percent."""

    network: str
    data: str
    energy_mj: float
    accuracy: float


PAPER_FIGURES = (
    PaperFigure(network="4-384", data="CIFAR-10", energy_mj=0.49, accuracy=95.80),
    PaperFigure(network="4-384", data="CIFAR-100", energy_mj=0.58, accuracy=79.07),
    PaperFigure(network="2-256", data="CIFAR10-DVS", energy_mj=1.67, accuracy=81.3),
    PaperFigure(network="2-256", data="DVS128-Gesture", energy_mj=1.23, accuracy=98.3),
)


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Millijoules per image by eq. 19.

    Members
    -------
    measured: from the synaptic operations that were executed.
    dense_estimate: from fr * T * FLOPs, as in the paper.
    """

    measured: float
    dense_estimate: float


def layer_energy(counts: Counts, *, conv1_steps: int = 1) -> tuple[Energy, ...]:
    """Energy of every layer, in order. conv1 is billed for its multiply-accumulates, `conv1_steps` times."""
    result = []
    for layer in counts.layers:
        if layer.layer.kind is LayerKind.PIXEL_CONV:
            measured = estimate = MAC_PJ * layer.macs * conv1_steps
        else:
            measured = ACCUMULATE_PJ * int(layer.sops.sum())
            estimate = ACCUMULATE_PJ * layer.sops_dense_estimate
        scale = _MJ_PER_PJ / counts.images
        result.append(Energy(measured=measured * scale, dense_estimate=estimate * scale))
    return tuple(result)


def energy(counts: Counts, *, conv1_steps: int = 1) -> Energy:
    """Energy of the network per image."""
    parts = layer_energy(counts, conv1_steps=conv1_steps)
    return Energy(
        measured=sum(part.measured for part in parts),
        dense_estimate=sum(part.dense_estimate for part in parts),
    )


def paper_figure(config: ModelConfig) -> PaperFigure:
    """The paper's figure for this network, or that of its CIFAR-10 network for one that the paper does not have."""
    named = [figure for figure in PAPER_FIGURES if figure.network == config.name]
    return (named or PAPER_FIGURES)[0]
