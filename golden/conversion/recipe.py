"""How a network that is to be converted is trained: quantised from the start, with thresholds chosen in between."""

from torch import Tensor, nn

from golden.conversion.adjust import adjust
from golden.conversion.config import ConversionConfig
from golden.conversion.networks import build
from golden.plan import Stage, TrainPlan
from golden.recipe import Recipe


class ConversionRecipe(Recipe):
    """A quantised network at one timestep, whose thresholds and bounds are chosen from data for its last stage."""

    def __init__(self, config: ConversionConfig):
        self.config = config

    def build(self, plan: TrainPlan) -> nn.Module:
        return build(self.config)

    def prepare(self, model: nn.Module, stage: Stage, images: Tensor | None) -> nn.Module:
        if stage.quantised and images is not None:
            adjust(model, self.config, images[: self.config.images])
        return model

    def settings(self) -> dict:
        return {"conversion": self.config.settings()}
