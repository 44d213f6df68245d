"""What is trained: the network that a plan begins with, and what becomes of it from stage to stage."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from golden.model import SAFormer, Sasa
from golden.plan import Stage, TrainPlan
from golden.quantise import quantise


class Recipe(ABC):
    """How a network is made for a plan, which says everything else. It is called as `SAFormer` is."""

    @abstractmethod
    def build(self, plan: TrainPlan) -> nn.Module:
        """The network before the first stage, with random weights."""

    @abstractmethod
    def prepare(self, model: nn.Module, stage: Stage, images: Tensor | None) -> nn.Module:
        """The network of a stage, from that of the stage before, in main memory.

        `images` are those that it is trained on, uint8 [K, C, H, W]; None where the state of the network is loaded
        afterwards, so that nothing needs to be found out from them.
        """

    def settings(self) -> dict:
        """What decides the network besides the plan: a run goes on only with the same."""
        return {}


class SpikingRecipe(Recipe):
    """A SAFormer that is trained as a spiking network, quantised for its last stage."""

    def build(self, plan: TrainPlan) -> SAFormer:
        model = SAFormer(plan.config)
        for block in model.blocks:
            for projection in block.attention.projections():
                projection.bn.weight.data.fill_(plan.attention_gain)
            if isinstance(block.attention, Sasa) and plan.config.dwc:
                block.attention.dwc.bn.weight.data.fill_(plan.convolution_gain)
        return model

    def prepare(self, model: SAFormer, stage: Stage, images: Tensor | None) -> SAFormer:
        return quantise(model) if stage.quantised else model


SPIKING = SpikingRecipe()
"""The recipe of a SAFormer."""
