"""SAFormer as a PyTorch module: one topology, for training in floating point and for quantisation-aware training.

Activations are [T, B, C, H, W] throughout; tokens are positions of the [H, W] grid. `golden.quantise` replaces the
layers by quantised ones with the same methods. Probes are forward hooks on the neurons and the stream's writes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from golden.attention.core import UNIT_BITS, Core
from golden.attention.registry import find_mechanism
from golden.attention.vsa import Vsa
from golden.config import Aggregate, Head, Input, ModelConfig
from golden.neurons.dynamics import Dynamics
from golden.neurons.module import Neuron
from golden.neurons.registry import attention_neuron, layer_neuron


class StreamWrite(nn.Module):
    """Opens the residual stream with a current, or adds a current to it."""

    def forward(self, stream: Tensor | None, current: Tensor) -> Tensor:
        # The stream stays in float32 under autocast: its values grow, and every block adds to them.
        return current.float() if stream is None else stream + current


def spiking(config: ModelConfig, *, dynamics: Dynamics | None = None, threshold: float | None = None) -> Neuron:
    """A neuron, that of a layer and with the network's threshold if nothing else is asked for."""
    dynamics = layer_neuron(config) if dynamics is None else dynamics
    threshold = config.threshold if threshold is None else threshold
    return Neuron(dynamics=dynamics, threshold=threshold, reset=config.reset)


def binary(config: ModelConfig, *, threshold: float | None = None) -> Neuron:
    """A neuron inside an attention, likewise."""
    return spiking(config, dynamics=attention_neuron(config), threshold=threshold)


class ConvBnLif(nn.Module):
    """Convolution (1x1 for a linear map), batch norm, max-pool if asked for, and the neuron or write that follows.

    `current` is what the neuron integrates; calling the layer gives its spikes. `unit` is 1.0 in units of the current.
    """

    unit = 1.0

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        config: ModelConfig,
        kernel: int = 1,
        groups: int = 1,
        pool: int | None = None,
        neuron: Neuron | None = None,
    ):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.pool = max_pool(pool) if pool else nn.Identity()
        self.neuron = neuron or spiking(config)
        self.write = StreamWrite()

    def current(self, x: Tensor) -> Tensor:
        """[T, B, inputs, H, W] to [T, B, outputs, H', W']."""
        return self.pool(self.bn(self.conv(x.flatten(0, 1)))).unflatten(0, x.shape[:2])

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron(self.current(x))


class Classifier(nn.Module):
    """Linear map of [T, B, D, 1, 1] to logits [T, B, classes]; `scale` is the worth of one unit of a logit."""

    scale = 1.0

    def __init__(self, *, inputs: int, classes: int):
        super().__init__()
        self.linear = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(2))


def max_pool(kernel: int) -> nn.MaxPool2d:
    """The max-pool of the spike patch splitting: stride 2, and padding only where the window overlaps."""
    return nn.MaxPool2d(kernel, stride=2, padding=(kernel - 1) // 2)


class SpikePatchSplitting(nn.Module):
    """Five convolutions from pixels [1, B, C, H, W], or frames [T, B, C, H, W], to the stream (eq. 4-5)."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        channels = (config.in_channels, *config.stage_channels)
        for stage in range(1, 6):
            pool = config.pool_kernel if stage in config.pool_stages else None
            layer = ConvBnLif(inputs=channels[stage - 1], outputs=channels[stage], kernel=3, pool=pool, config=config)
            self.add_module(f"conv{stage}", layer)

    def forward(self, steps: Tensor, timesteps: int) -> Tensor:
        # A static image gives the same current at every step: compute it once.
        current = self.conv1.current(steps).expand(timesteps, -1, -1, -1, -1)
        current = self.conv4.current(self.conv3(self.conv2(self.conv1.neuron(current))))
        stream = self.conv4.write(None, current)
        return self.conv5.write(stream, self.conv5.current(self.conv4.neuron(current)))


def _projection(config: ModelConfig) -> ConvBnLif:
    """Q, K or V of an attention."""
    return ConvBnLif(inputs=config.dim, outputs=config.dim, config=config, neuron=binary(config))


class SpikeAttention(nn.Module):
    """A mechanism of `golden.attention` with the projections it reads: stream spikes to the projection's input."""

    def __init__(self, config: ModelConfig, core: Core):
        super().__init__()
        self.core, self.heads = core, config.heads
        for part in core.parts:
            neuron = spiking(config, dynamics=core.neuron(part, config), threshold=core.share(part) * config.threshold)
            self.add_module(part, ConvBnLif(inputs=config.dim, outputs=config.dim, config=config, neuron=neuron))
        self.fire = binary(config, threshold=core.threshold)

    def projections(self) -> list[ConvBnLif]:
        """Q and what else it has."""
        return [getattr(self, part) for part in self.core.parts]

    def forward(self, spikes: Tensor) -> Tensor:
        parts = {part: getattr(self, part)(spikes) for part in self.core.parts}
        fired = self.fire(2**UNIT_BITS * self.core.counts(parts, heads=self.heads))
        return self.core.output(fired, parts, heads=self.heads)


class RealAttention(nn.Module):
    """The attention of real numbers with its projections: stream spikes to the projection's input, real numbers."""

    def __init__(self, config: ModelConfig, mechanism: Vsa):
        super().__init__()
        self.parts, self.attend, self.heads = mechanism.parts, mechanism.output, config.heads
        for part in mechanism.parts:
            self.add_module(part, _projection(config))

    def projections(self) -> list[ConvBnLif]:
        """Q, K and V."""
        return [getattr(self, part) for part in self.parts]

    def forward(self, spikes: Tensor) -> Tensor:
        currents = [layer.current(spikes) / layer.unit for layer in self.projections()]
        return self.attend(*currents, heads=self.heads)


class Sasa(nn.Module):
    """Spike aggregated self-attention (eq. 11-17): stream spikes to the input of the projection."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.q, self.k = _projection(config), _projection(config)
        self.ka, self.mask = binary(config), binary(config, threshold=config.mask_threshold)
        self._aggregates = self._of_spikes if config.aggregate is Aggregate.SPIKE else self._of_currents
        mixed = self._fire_on_both if config.mix_neuron else self._add_convolution
        self._mix = mixed if config.dwc else self._take_masked
        if config.dwc:
            shape = {"inputs": config.dim, "outputs": config.dim, "kernel": 3, "groups": config.dim}
            neuron = spiking(config, threshold=config.mix_threshold * config.threshold)
            self.dwc = ConvBnLif(**shape, config=config, neuron=neuron)

    def projections(self) -> list[ConvBnLif]:
        """Q and K."""
        return [self.q, self.k]

    def windows(self, x: Tensor) -> Tensor:
        """Sums over the windows: [T, B, D, grid, grid] to [T, B, D, p, p]."""
        sums = F.avg_pool2d(x.flatten(0, 1), self.config.window_kernel, divisor_override=1)
        return sums.unflatten(0, x.shape[:2])

    def _of_spikes(self, q: Tensor, _k: Tensor, k_spikes: Tensor) -> tuple[Tensor, Tensor]:
        return self.windows(self.q.neuron(q)), self.windows(k_spikes)

    def _of_currents(self, q: Tensor, k: Tensor, _k_spikes: Tensor) -> tuple[Tensor, Tensor]:
        times = self.config.window_tokens * self.config.aggregate_threshold
        return self.q.neuron(self.windows(q), times=times), self.ka(self.windows(k), times=times)

    def forward(self, spikes: Tensor) -> Tensor:
        k = self.k.current(spikes)
        k_spikes = self.k.neuron(k)
        qa, ka = self._aggregates(self.q.current(spikes), k, k_spikes)
        mask = self.mask(2**UNIT_BITS * (qa * ka).sum(dim=(-2, -1), keepdim=True))
        return self._mix(k_spikes, mask * k_spikes)

    def _take_masked(self, _k_spikes: Tensor, masked: Tensor) -> Tensor:
        return masked

    def _add_convolution(self, k_spikes: Tensor, masked: Tensor) -> Tensor:
        return self.dwc.current(k_spikes) + self.dwc.unit * masked

    def _fire_on_both(self, k_spikes: Tensor, masked: Tensor) -> Tensor:
        return self.dwc.neuron(self._add_convolution(k_spikes, masked))


def _attention(config: ModelConfig) -> SpikeAttention | RealAttention | Sasa:
    match find_mechanism(config):
        case Core() as core:
            return SpikeAttention(config, core)
        case Vsa() as mechanism:
            return RealAttention(config, mechanism)
        case None:
            return Sasa(config)


class Block(nn.Module):
    """Encoder block with membrane residuals: stream in, stream out (eq. 6-7)."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.input = spiking(config)
        self.attention = _attention(config)
        self.proj = ConvBnLif(inputs=config.dim, outputs=config.dim, config=config)
        self.mlp_input = spiking(config)
        self.fc1 = ConvBnLif(inputs=config.dim, outputs=config.hidden, config=config)
        self.fc2 = ConvBnLif(inputs=config.hidden, outputs=config.dim, config=config)

    def forward(self, stream: Tensor) -> Tensor:
        mix = self.attention(self.input(stream))
        stream = self.proj.write(stream, self.proj.current(mix))
        hidden = self.fc1(self.mlp_input(stream))
        return self.fc2.write(stream, self.fc2.current(hidden))


class SAFormer(nn.Module):
    """Pixels [B, C, H, W] (numbers 0 to 255), or frames [B, T, C, H, W] (0 and 1), to logits [T, B, classes].

    Pixels are neither scaled nor centred: conv1's batch norm does both, and zero padding stays the pixel 0. With fewer
    `timesteps` than frames, frames that follow each other are merged: a pixel is 1 if it is in any of them.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.sps = SpikePatchSplitting(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.head_neuron = spiking(config)
        self.head = Classifier(inputs=config.dim, classes=config.classes)
        # What conv1 reads, [1, B, C, H, W] or [timesteps, B, C, H, W], and what the classifier does, [T, B, D, 1, 1].
        self._steps = self._repeated if config.input is Input.PIXELS else self._merged
        self._features = self._rates if config.head is Head.RATE else self._neuron_on_mean

    def _rates(self, stream: Tensor) -> Tensor:
        return self.head_neuron(stream).sum(dim=(-2, -1), keepdim=True)

    def _neuron_on_mean(self, stream: Tensor) -> Tensor:
        return self.head_neuron(stream.sum(dim=(-2, -1), keepdim=True), times=self.config.tokens)

    def _repeated(self, images: Tensor, _timesteps: int) -> Tensor:
        return images.unsqueeze(0)

    def _merged(self, frames: Tensor, timesteps: int) -> Tensor:
        return torch.stack([some.amax(dim=1) for some in frames.tensor_split(timesteps, dim=1)])

    def forward(self, images: Tensor, timesteps: int | None = None) -> Tensor:
        timesteps = timesteps or self.config.timesteps
        stream = self.sps(self._steps(images, timesteps), timesteps)
        for block in self.blocks:
            stream = block(stream)
        return self.head(self._features(stream))

    def scores(self, images: Tensor, timesteps: int | None = None) -> Tensor:
        """Mean of the logits over time, [B, classes], as real numbers: the input of the loss."""
        return self.forward(images, timesteps).float().mean(dim=0) * self.head.scale
