"""The networks that are converted: numbers in whole levels between the layers, and no time."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from golden.config import ModelConfig
from golden.conversion.config import ConversionConfig, Network
from golden.conversion.quantiser import Quantiser
from golden.model import Classifier, ConvBnLif, SAFormer
from golden.neurons.kinds import Levels
from golden.neurons.module import Neuron


class Vgg(nn.Module):
    """Pixels [B, C, H, W] to logits [T, B, classes]: 3x3 convolutions, and a classifier on the mean over positions.

    The first five convolutions have the channels and pools of SAFormer's patch splitting, and `depth` more follow. It
    is called as `SAFormer` is.

    Members
    -------
    positions: what the sum over positions is divided by; 1 where the classifier's weights already are.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        channels = (config.in_channels, *config.stage_channels, *[config.dim] * config.depth)
        self.layers = nn.ModuleList(
            ConvBnLif(
                inputs=channels[stage - 1],
                outputs=channels[stage],
                kernel=3,
                pool=config.pool_kernel if stage in config.pool_stages else None,
                config=config,
            )
            for stage in range(1, len(channels))
        )
        self.positions = config.tokens
        self.head = Classifier(inputs=config.dim, classes=config.classes)

    def forward(self, images: Tensor, timesteps: int = 1) -> Tensor:
        first, *others = self.layers
        x = first.neuron(first.current(images.unsqueeze(0)).expand(timesteps, -1, -1, -1, -1))
        for layer in others:
            x = layer(x)
        return self.head(x.sum(dim=(-2, -1), keepdim=True) / self.positions)

    def scores(self, images: Tensor, timesteps: int = 1) -> Tensor:
        """Mean of the logits over time, [B, classes], as real numbers."""
        return self.forward(images, timesteps).mean(dim=0) * self.head.scale


def replace(network: nn.Module, chosen: Callable[[nn.Module], bool], make: Callable[[nn.Module], nn.Module]) -> None:
    """Put `make(module)` in the place of every chosen module; a module that stands in several places stays one."""
    made: dict[nn.Module, nn.Module] = {}
    for name, module in list(network.named_modules(remove_duplicate=False)):
        if chosen(module):
            made.setdefault(module, make(module))
            owner, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(owner), leaf, made[module])


def build(config: ConversionConfig) -> nn.Module:
    """The untrained network, with quantisers where a spiking one has the neurons of layers.

    Neurons inside an attention stay what they are, binary. All that read the residual stream share a quantiser.
    """
    model = config.model
    network = Vgg(model) if config.network is Network.VGG else SAFormer(model)

    def quantiser(_module: nn.Module) -> Quantiser:
        return Quantiser(threshold=config.span / model.levels, low=-config.negative_levels, high=model.levels)

    replace(network, lambda module: isinstance(module, Neuron) and isinstance(module.dynamics, Levels), quantiser)
    if isinstance(network, SAFormer):
        for block in network.blocks:
            block.input = block.mlp_input = network.head_neuron
    return network


def quantisers(network: nn.Module) -> dict[str, Quantiser]:
    """The quantisers that the network calls, by name, in the order of their first call."""
    config, called = network.config, []
    modules = {module: name for name, module in network.named_modules() if isinstance(module, Quantiser)}
    hooks = [module.register_forward_hook(lambda module, *_: called.append(module)) for module in modules]
    training = network.training
    network.eval()
    with torch.no_grad():
        image = next(network.parameters()).new_zeros(1, config.in_channels, config.image_size, config.image_size)
        network(image, timesteps=1)
    network.train(training)
    for hook in hooks:
        hook.remove()
    return {modules[module]: module for module in dict.fromkeys(called)}
