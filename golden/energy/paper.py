"""What the SAFormer paper reports: energy, accuracy, and its comparisons with others (tables 1 and 2)."""

from collections.abc import Mapping
from dataclasses import dataclass

from golden.config import CONFIGS, ModelConfig
from golden.energy.conventions import layer_millijoules
from golden.energy.workload import from_rate
from golden.errors import SaformerError


@dataclass(frozen=True, kw_only=True)
class PaperFigure:
    """One of its networks on one data set: mJ for an image, accuracy in percent, and eq. 21 for others' energy.

    `savings` are the relative differences that the paper prints, by the other network: (other - ours) / other.
    """

    table: int
    network: str
    data: str
    energy_mj: float
    accuracy: float
    savings: Mapping[str, float]

    def others_mj(self) -> Mapping[str, float]:
        """The energy of the others that its savings imply, in mJ."""
        return {name: self.energy_mj / (1 - saving) for name, saving in self.savings.items()}


PAPER_FIGURES = (
    PaperFigure(
        table=1,
        network="4-384",
        data="CIFAR-10",
        energy_mj=0.49,
        accuracy=95.80,
        savings={"MS-ResNet": 0.1967, "SEW-ResNet": 0.9448, "Spikformer": 0.9049, "S-Transformer": 0.058},
    ),
    PaperFigure(
        table=1,
        network="4-384",
        data="CIFAR-100",
        energy_mj=0.58,
        accuracy=79.07,
        savings={"Spikformer": 0.8882, "S-Transformer": 0.065},
    ),
    PaperFigure(
        table=2,
        network="2-256",
        data="CIFAR10-DVS",
        energy_mj=1.67,
        accuracy=81.3,
        savings={"SEW-ResNet": 0.926, "tdBN": 0.897, "Spikformer": 0.89, "S-Transformer": 0.173},
    ),
    PaperFigure(
        table=2,
        network="2-256",
        data="DVS128-Gesture",
        energy_mj=1.23,
        accuracy=98.3,
        savings={"tdBN": 0.747, "S-Transformer": 0.25},
    ),
)


def paper_figure(config: ModelConfig) -> PaperFigure:
    """The paper's figure for this network, or that of its CIFAR-10 network for one that the paper does not have."""
    named = [figure for figure in PAPER_FIGURES if figure.network == config.name]
    return (named or PAPER_FIGURES)[0]


def relative_difference(other: float, ours: float) -> float:
    """Eq. 21: the share of the other's figure by which ours is lower. Raises SaformerError where the other is 0."""
    if other == 0:
        raise SaformerError("eq. 21 divides by the other's figure, which is 0")
    return (other - ours) / other


def implied_rate(figure: PaperFigure) -> float:
    """The average firing rate at which eq. 19 gives the paper's energy for its network; above 1 it cannot be meant.

    Eq. 19 is linear in the rate, so two points are enough.
    """
    config = CONFIGS[figure.network]
    silent, full = (sum(layer_millijoules(from_rate(config, rate)).values()) for rate in (0.0, 1.0))
    return (figure.energy_mj - silent) / (full - silent)
