"""What is converted, and how: every choice that the paper on PMSM leaves open."""

import dataclasses
from enum import StrEnum

from golden.config import Input, ModelConfig, NeuronKind, choice
from golden.errors import SaformerError


class Network(StrEnum):
    """The network that is converted."""

    VGG = "vgg"
    SAFORMER = "saformer"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConversionConfig:
    """A quantised network and its conversion.

    Parameters
    ----------
    model: its sizes, with `neuron` "pmsm", whose `levels` are the largest output of a layer (Lp). SAFormer with
        `attention` "vsa" is a small vision transformer.
    network: "vgg", convolutions only, or "saformer".
    negative_levels: largest negative output (Ln); 0 for a quantised ReLU, without polarity.
    span: what all positive levels cover before thresholds are chosen from data, in standard deviations of a batch norm.
    images: training images that thresholds and bounds are chosen on.

    Raises
    ------
    SaformerError: a value is impossible.
    """

    model: ModelConfig
    network: Network = Network.VGG
    negative_levels: int = 0
    span: float = 2.0
    images: int = 256

    def __post_init__(self):
        object.__setattr__(self, "network", choice("network", Network, self.network))
        if self.model.neuron is not NeuronKind.PMSM:
            raise SaformerError(f'conversion needs neuron = "pmsm", not "{self.model.neuron}"')
        if self.model.input is not Input.PIXELS:
            raise SaformerError('conversion is of networks that see images: input = "pixels"')
        if not 0 <= self.negative_levels <= 127:
            raise SaformerError(f"negative_levels must be 0 to 127, not {self.negative_levels}")
        if self.span <= 0:
            raise SaformerError(f"span must be above 0, not {self.span}")
        if self.images < 1:
            raise SaformerError(f"images must be at least 1, not {self.images}")

    def settings(self) -> dict:
        """Everything but the model, as plain values."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "model"}
        return own | {"network": str(self.network)}
