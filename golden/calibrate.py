"""Untrained integer models whose neurons fire at realistic rates: for simulating what nobody has trained yet.

Weights are random; biases centre every current on zero, as a batch norm would, and thresholds are found layer by layer
on images. Only integers are drawn and compared, so a seed means the same model everywhere.
"""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from golden.attention.core import Core
from golden.attention.registry import find_core
from golden.config import Input, ModelConfig
from golden.data import check_images, fit_images, load_bundled
from golden.events import random_frames
from golden.integer import (
    IntegerModel,
    aggregate,
    attend,
    attention_mask,
    attention_spikes,
    input_steps,
    layer_spikes,
    mix_current,
    per_channel,
    project,
    stage_current,
    write_stream,
)
from golden.neurons.dynamics import Dynamics
from golden.neurons.exact import run_neuron
from golden.neurons.registry import attention_neuron, layer_neuron
from golden.tensors import MAX_SHIFT, LayerTensors, TensorSpec, layer_tensors, parameter_limit, tensor_specs

CALIBRATION_IMAGES = 8
"""Images, or recordings, that are calibrated on, unless they are large: see `_calibration_count`."""
CALIBRATION_SITES = 2**17
"""Pixels times timesteps of all of them that are enough."""
# Firing rates in percent that trained models show: convolutions and K, the attention's output, the MLP's hidden layer,
# and LIF(U).
CONV_RATE, MIX_RATE, HIDDEN_RATE, STREAM_RATE = 15, 8, 9, 25
# The rates of the channels of one layer are spread over this range, in percent of the layer's.
SPREAD = (40, 161)
# One channel of K in so many has the threshold at which KA, rather than K, fires at the rate above.
AGGREGATE_SHARE = 4


@dataclasses.dataclass
class _Calibration:
    """The tensors found so far, and what is needed to find the next."""

    config: ModelConfig
    generator: torch.Generator
    tensors: dict[str, Tensor]
    percent: int | None = None  # the rate of all neurons, in place of those above

    def layer(self, name: str, current: Callable[[LayerTensors], Tensor]) -> tuple[LayerTensors, Tensor]:
        """Centre the currents [..., C, H, W] of a layer by its bias; returns the layer and the centred currents."""
        layer = layer_tensors(self.tensors, name)
        x = current(layer)
        mean = _channel_sums(x) // (x.numel() // x.shape[-3])
        self.tensors[f"{name}.bias"] = layer.bias - mean.to(torch.int32)
        return layer_tensors(self.tensors, name), x - per_channel(mean.to(torch.int32))

    def threshold(
        self, rate: int, spikes: Callable[[Tensor], Tensor], *, channels: int, times: int = 1, positive: bool = False
    ) -> Tensor:
        """Thresholds [channels] at which `spikes(threshold)` fires at about `rate` percent."""
        spread = torch.randint(*SPREAD, (channels,), generator=self.generator)
        wanted = spread * (rate if self.percent is None else self.percent)
        limit = parameter_limit(times)
        return _find_threshold(spikes, wanted, low=1 if positive or self.percent is None else -limit, high=limit)

    def neuron(
        self, name: str, rate: int, current: Tensor, times: int = 1, *, dynamics: Dynamics | None = None
    ) -> Tensor:
        """Find the threshold of a neuron, by default that of a layer, on these currents; returns its outputs."""
        dynamics = layer_neuron(self.config) if dynamics is None else dynamics

        def spikes(threshold: Tensor) -> Tensor:
            return run_neuron(dynamics, current, per_channel(threshold), reset=self.config.reset)

        sizes = {"channels": current.shape[-3], "times": times, "positive": not dynamics.binary}
        threshold = self.threshold(rate, spikes, **sizes)
        self.tensors[f"{name}.threshold"] = threshold
        return spikes(threshold)

    def aggregate(self, name: str, current: Tensor, chosen: Tensor) -> Tensor:
        """Find the threshold of Q or K at which the chosen channels, bool [D], of QA or KA fire; returns QA or KA."""
        config, key = self.config, f"{name}.threshold"

        def spikes(threshold: Tensor) -> Tensor:
            return aggregate(config, current, threshold)

        threshold = self.threshold(CONV_RATE, spikes, channels=config.dim, times=config.window_tokens)
        self.tensors[key] = torch.where(chosen, threshold, self.tensors[key])
        return spikes(self.tensors[key])

    def write(self, name: str, stream: Tensor, current: Callable[[LayerTensors], Tensor]) -> Tensor:
        """The stream after the write of a layer with these currents."""
        layer, x = self.layer(name, current)
        return write_stream(stream, x, layer.shift)[0]


def _channel_sums(x: Tensor) -> Tensor:
    """Sums over all axes but that of the channels, [..., C, H, W] to int64 [C]."""
    return x.flatten(-2).sum(dim=-1, dtype=torch.int64).flatten(0, -2).sum(dim=0)


def _find_threshold(spikes: Callable[[Tensor], Tensor], per_myriad: Tensor, *, low: int, high: int) -> Tensor:
    """The smallest thresholds [C], from `low` to `high`, at which at most `per_myriad` of 10,000 outputs fire."""
    low = torch.full_like(per_myriad, low, dtype=torch.int32)
    high = torch.full_like(low, high)
    while bool((low < high).any()):
        middle = (low + high) >> 1
        fired = spikes(middle).ne(0)
        enough = _channel_sums(fired) * 10_000 <= per_myriad * (fired.numel() // len(low))
        low, high = torch.where(enough, low, middle + 1), torch.where(enough, middle, high)
    return low


def _draw(name: str, spec: TensorSpec, config: ModelConfig, generator: torch.Generator) -> Tensor:
    """A random weight or shift, a positive `one`; biases of currents and thresholds start at 0 and are found later."""
    field, limit = name.rpartition(".")[2], config.weight_limit
    if name == "head.bias":
        return torch.randint(-limit, limit + 1, spec.shape, generator=generator).to(spec.dtype)
    if field == "weight":
        draws = torch.randint(-limit, limit + 1, (3, *spec.shape), generator=generator).sum(dim=0)
        return torch.div(draws, 3, rounding_mode="floor").to(spec.dtype)
    if field == "shift":
        return torch.randint(MAX_SHIFT + 1, spec.shape, generator=generator).to(spec.dtype)
    if field == "one":
        return torch.randint(limit, 2 * limit + 1, spec.shape, generator=generator).to(spec.dtype)
    return torch.zeros(spec.shape, dtype=spec.dtype)


def _calibration_count(config: ModelConfig) -> int:
    """Images, or recordings, that `init_model` looks at."""
    return min(CALIBRATION_IMAGES, max(1, CALIBRATION_SITES // (config.timesteps * config.image_size**2)))


def _calibration_input(config: ModelConfig, images: Tensor | None) -> Tensor:
    """What `init_model` calibrates on."""
    count = _calibration_count(config)
    if config.input is Input.EVENTS:
        frames = random_frames(config, count).images if images is None else images[:count]
        check_images(config, frames)
        return frames
    pixels = load_bundled().images if images is None else images
    return fit_images(pixels[:count], channels=config.in_channels, size=config.image_size)


def init_model(
    config: ModelConfig, *, seed: int, images: Tensor | None = None, percent: int | None = None
) -> IntegerModel:
    """A random model of any configuration whose firing rates on `images` are like those of a trained one.

    With `percent` all neurons fire at about that rate instead; at more than about 40 their thresholds are negative.

    `images` are uint8 [K, C, H, W] of any shape (they are fitted to the configuration's), the bundled ones by default;
    or, where the input is events, frames uint8 [K, T, C, H, W] of the configuration's shape, random ones by default.
    The same seed and images give the same model.

    Raises SaformerError: frames of another shape.
    """
    images = _calibration_input(config, images)
    generator = torch.Generator().manual_seed(seed)
    tensors = {name: _draw(name, spec, config, generator) for name, spec in tensor_specs(config).items()}
    calibration = _Calibration(config=config, generator=generator, tensors=tensors, percent=percent)
    stream = _calibrate_patch_splitting(calibration, input_steps(config, images))
    calibration.neuron("stream", STREAM_RATE, stream, config.tokens)
    for index in range(config.depth):
        stream = _calibrate_block(calibration, f"blocks.{index}", stream)
    return IntegerModel(config=config, tensors=calibration.tensors)


def _calibrate_stage(calibration: _Calibration, number: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """One of conv1 to conv4; returns its currents and its spikes."""
    config = calibration.config
    _, current = calibration.layer(f"conv{number}", lambda part: stage_current(config, number, part, x))
    if number == 1:
        current = current.expand(config.timesteps, -1, -1, -1, -1)
    return current, calibration.neuron(f"conv{number}", CONV_RATE, current)


def _calibrate_patch_splitting(calibration: _Calibration, x: Tensor) -> Tensor:
    """conv1 to conv5 on what conv1 reads; returns the stream."""
    config = calibration.config
    for number in range(1, 5):
        current, x = _calibrate_stage(calibration, number, x)
    stream, _ = write_stream(torch.zeros_like(current), current, calibration.tensors["conv4.shift"])
    return calibration.write("conv5", stream, lambda part: stage_current(config, 5, part, x))


def _calibrate_sasa(calibration: _Calibration, name: str, spikes: Tensor) -> Tensor:
    """SASA on LIF(U); returns the input of the projection."""
    config = calibration.config
    everywhere = torch.ones(config.dim, dtype=torch.bool)
    _, q = calibration.layer(f"{name}.q", lambda part: project(spikes, part))
    qa = calibration.aggregate(f"{name}.q", q, everywhere)
    _, current = calibration.layer(f"{name}.k", lambda part: project(spikes, part))
    calibration.neuron(f"{name}.k", CONV_RATE, current, config.window_tokens, dynamics=attention_neuron(config))
    # Means over windows rarely reach the threshold of single tokens: in some channels, let KA decide.
    some = torch.randint(AGGREGATE_SHARE, (config.dim,), generator=calibration.generator) == 0
    ka = calibration.aggregate(f"{name}.k", current, some)
    k = attention_spikes(config, current, per_channel(calibration.tensors[f"{name}.k.threshold"]))
    mask = attention_mask(config, qa, ka)
    if not config.dwc:
        return mix_current(config, LayerTensors(), k, mask)
    _, current = calibration.layer(f"{name}.dwc", lambda part: mix_current(config, part, k, mask))
    mix = calibration.neuron(f"{name}.dwc", MIX_RATE, current)
    return mix if config.mix_neuron else current


def _calibrate_core(calibration: _Calibration, name: str, spikes: Tensor, core: Core) -> Tensor:
    """A mechanism of `golden.attention` on LIF(U); returns the input of the projection."""
    parts, config = {}, calibration.config
    for part in core.parts:
        _, current = calibration.layer(f"{name}.{part}", lambda layer: project(spikes, layer))
        parts[part] = calibration.neuron(f"{name}.{part}", CONV_RATE, current, dynamics=core.neuron(part, config))
    return attend(config, core, parts)[1]


def _calibrate_block(calibration: _Calibration, name: str, stream: Tensor) -> Tensor:
    """One encoder block; returns the stream."""
    config, threshold = calibration.config, per_channel(calibration.tensors["stream.threshold"])
    spikes, core = layer_spikes(config, stream, threshold), find_core(config)
    mix = _calibrate_core(calibration, name, spikes, core) if core else _calibrate_sasa(calibration, name, spikes)
    stream = calibration.write(f"{name}.proj", stream, lambda part: project(mix, part))
    spikes = layer_spikes(config, stream, threshold)
    _, current = calibration.layer(f"{name}.fc1", lambda part: project(spikes, part))
    hidden = calibration.neuron(f"{name}.fc1", HIDDEN_RATE, current)
    return calibration.write(f"{name}.fc2", stream, lambda part: project(hidden, part))
