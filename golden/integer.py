"""The integer model: the specification of what a SAFormer computes (docs/arithmetic.md).

Pure functions over integer tensors. Numbers are int32 and spikes uint8; sums of products are computed in a type that a
bound proves exact.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

from golden.attention.core import UNIT_BITS, Core
from golden.attention.registry import find_core
from golden.config import Aggregate, Head, Input, ModelConfig
from golden.data import check_images
from golden.neurons.exact import run_neuron
from golden.neurons.registry import attention_neuron, layer_neuron
from golden.products import exact_type, sums_of_products
from golden.tensors import LayerTensors, check_tensors, layer_tensors

STREAM_BITS = 16
STREAM_LIMITS = (-(2 ** (STREAM_BITS - 1)), 2 ** (STREAM_BITS - 1) - 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class IntegerModel:
    """A quantised SAFormer: its configuration and the tensors of `golden.tensors.tensor_specs`.

    Raises SaformerError: a tensor is missing, of another shape or type, or out of range.
    """

    config: ModelConfig
    tensors: Mapping[str, Tensor]

    def __post_init__(self):
        check_tensors(self.config, self.tensors)
        object.__setattr__(self, "tensors", MappingProxyType(dict(self.tensors)))

    def layer(self, name: str) -> LayerTensors:
        """The tensors of one layer, such as "conv1" or "blocks.0.fc2"."""
        return layer_tensors(self.tensors, name)

    @property
    def stream_threshold(self) -> Tensor:
        """Threshold of LIF(U), [D]."""
        return self.tensors["stream.threshold"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trace:
    """Everything one run computed. The leading axes of every tensor are [T, B].

    Members
    -------
    values: by name, see `run`.
    saturations: by name of a stream write, the number of values that sat16 changed, int64 [T, B].
    """

    values: Mapping[str, Tensor]
    saturations: Mapping[str, Tensor]

    @property
    def logits(self) -> Tensor:
        """int32 [T, B, classes]."""
        return self.values["logits"]

    @property
    def predictions(self) -> Tensor:
        """Class of each image, int64 [B]: the arg max of the logits summed over time, the first one on a tie."""
        return self.logits.sum(dim=0).argmax(dim=1)


def layer_spikes(config: ModelConfig, x: Tensor, threshold: Tensor) -> Tensor:
    """What the neuron of a layer puts out for currents [T, ...]: spikes, or values of `golden.neurons`."""
    return run_neuron(layer_neuron(config), x, threshold, reset=config.reset)


def attention_spikes(config: ModelConfig, x: Tensor, threshold: Tensor | int) -> Tensor:
    """Spikes of a neuron inside an attention for currents [T, ...]."""
    return run_neuron(attention_neuron(config), x, threshold, reset=config.reset)


def per_channel(vector: Tensor) -> Tensor:
    """[C] shaped to broadcast over [..., C, H, W]."""
    return vector.reshape(-1, 1, 1)


def convolve(x: Tensor, layer: LayerTensors) -> Tensor:
    """Currents of a 3x3 convolution with zero padding 1: [K, Ci, H, W] to int32 [K, Co, H, W]."""
    weight = layer.weight.movedim(1, -1).flatten(1)
    dtype = exact_type(weight, x)
    # A matrix product of patches, because a library's convolution may take an algorithm (Winograd) whose intermediate
    # results are no integers. Three pixels of a row, with all their channels, lie side by side.
    rows = F.pad(x.movedim(1, -1).to(dtype), (0, 0, 1, 1, 1, 1)).flatten(2)  # [K, H + 2, (W + 2) * Ci]
    patches = rows.unfold(2, 3 * x.shape[1], x.shape[1]).unfold(1, 3, 1).movedim(-1, -2)  # [K, H, W, 3, 3 * Ci]
    sums = sums_of_products(patches.reshape(-1, weight.shape[1]), weight.to(dtype))
    return sums.unflatten(0, patches.shape[:3]).movedim(-1, 1).add_(per_channel(layer.bias))


def project(x: Tensor, layer: LayerTensors) -> Tensor:
    """Currents of a linear map over channels: [..., Ci, H, W] to int32 [..., Co, H, W]."""
    dtype = exact_type(layer.weight, x)
    tokens = x.movedim(-3, -1).to(dtype)
    sums = sums_of_products(tokens.reshape(-1, x.shape[-3]), layer.weight.to(dtype))
    return sums.unflatten(0, tokens.shape[:-1]).movedim(-1, -3).add_(per_channel(layer.bias))


def convolve_depthwise(x: Tensor, layer: LayerTensors) -> Tensor:
    """Currents of a 3x3 convolution of each channel, zero padding 1: [..., C, H, W] to int32 of the same shape."""
    height, width = x.shape[-2:]
    padded = F.pad(x.to(torch.int32), (1, 1, 1, 1))
    total = per_channel(layer.bias)
    for row in range(3):
        for column in range(3):
            tap = per_channel(layer.weight[:, row, column].to(torch.int32))
            total = total + tap * padded[..., row : row + height, column : column + width]
    return total


def max_pool(x: Tensor, kernel: int) -> Tensor:
    """Max-pool with stride 2, [K, C, H, W] to [K, C, H / 2, W / 2]; kernel 3 has padding 1."""
    return F.max_pool2d(x, kernel, stride=2, padding=(kernel - 1) // 2)


def window_sums(x: Tensor, side: int) -> Tensor:
    """Sums over side * side windows of the token grid: [..., H, W] to int32 [..., H / side, W / side]."""
    height, width = x.shape[-2] // side, x.shape[-1] // side
    windows = x.unflatten(-2, (height, side)).unflatten(-1, (width, side))
    return windows.sum(dim=(-3, -1), dtype=torch.int32)


def pooled_current(counts: Tensor, layer: LayerTensors, *, tokens: int) -> Tensor:
    """Sums of a linear layer's currents over windows of `tokens` tokens, from the sums of its inputs over them.

    `counts` is int32 [..., Ci, p, p], see `window_sums`; the result, int32 [..., Co, p, p], is exactly that of summing
    the currents of every token: a linear map of a sum is the sum of the linear maps.
    """
    return project(counts, layer) + (tokens - 1) * per_channel(layer.bias)


def write_stream(stream: Tensor, x: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """sat16(stream + (x << shift)), and how many values it changed, [T, B]."""
    exact = stream + (x << per_channel(shift))
    clamped = exact.clamp(*STREAM_LIMITS)
    return clamped, (clamped != exact).sum(dim=(2, 3, 4))


def stage_current(config: ModelConfig, number: int, layer: LayerTensors, x: Tensor) -> Tensor:
    """Currents of conv1 to conv5, pooled where the stage has a pool: [T, B, Ci, H, W] to [T, B, Co, H', W']."""
    current = convolve(x.flatten(0, 1), layer)
    if number in config.pool_stages:
        current = max_pool(current, config.pool_kernel)
    return current.unflatten(0, x.shape[:2])


def input_steps(config: ModelConfig, images: Tensor) -> Tensor:
    """What conv1 reads: pixels [B, C, H, W] as the one step [1, B, C, H, W], frames [B, T, C, H, W] as [T, B, ...]."""
    return images.unsqueeze(0) if config.input is Input.PIXELS else images.transpose(0, 1)


def run_patch_splitting(model: IntegerModel, images: Tensor) -> Trace:
    """conv1 to conv5: from pixels uint8 [B, C, H, W], or frames [B, T, C, H, W], to the stream."""
    config = model.config
    x = input_steps(config, images)
    values = {"frames": x} if config.input is Input.EVENTS else {}
    for number in range(1, 5):
        layer = model.layer(f"conv{number}")
        current = stage_current(config, number, layer, x)
        if number == 1:
            current = current.expand(config.timesteps, -1, -1, -1, -1)
        x = values[f"conv{number}"] = layer_spikes(config, current, per_channel(layer.threshold))
    opened, first = write_stream(torch.zeros_like(current), current, layer.shift)
    conv5 = model.layer("conv5")
    stream, second = write_stream(opened, stage_current(config, 5, conv5, x), conv5.shift)
    values |= {"stream.conv4": opened, "stream.conv5": stream}
    return Trace(values=values, saturations={"stream.conv4": first, "stream.conv5": second})


def aggregate_threshold(config: ModelConfig, threshold: Tensor) -> Tensor:
    """Threshold of the neurons on sums over windows, from that of single tokens, int32 of any shape: rounded down."""
    return (int(16 * config.aggregate_threshold) * config.window_tokens * threshold) >> 4


def aggregate(config: ModelConfig, current: Tensor, threshold: Tensor) -> Tensor:
    """QA or KA, [T, B, D, p, p], of the currents [T, B, D, H, W]; the threshold is [D]."""
    threshold, side = per_channel(threshold), config.window_kernel
    if config.aggregate is Aggregate.SPIKE:
        return window_sums(attention_spikes(config, current, threshold), side)
    return attention_spikes(config, window_sums(current, side), aggregate_threshold(config, threshold))


def attention_mask(config: ModelConfig, qa: Tensor, ka: Tensor) -> Tensor:
    """M [T, B, D] of QA and KA [T, B, D, p, p]."""
    count = (qa.to(torch.int32) * ka).sum(dim=(-2, -1), dtype=torch.int32)
    return attention_spikes(config, count << UNIT_BITS, config.mask_threshold)


def mix_current(config: ModelConfig, dwc: LayerTensors, k: Tensor, mask: Tensor) -> Tensor:
    """The depthwise convolution of K plus the masked K, or only the latter: [T, B, D, H, W]."""
    masked = k & mask[..., None, None]
    return convolve_depthwise(k, dwc) + per_channel(dwc.one) * masked if config.dwc else masked


def run_attention(model: IntegerModel, name: str, spikes: Tensor) -> dict[str, Tensor]:
    """SASA (eq. 11-17) on LIF(U), uint8 [T, B, D, H, W]; the last value is the input of the projection."""
    config = model.config
    q, k, dwc = (model.layer(f"{name}.{part}") for part in ("q", "k", "dwc"))
    k_current = project(spikes, k)
    qa = aggregate(config, project(spikes, q), q.threshold)
    ka = aggregate(config, k_current, k.threshold)
    k_spikes = attention_spikes(config, k_current, per_channel(k.threshold))
    mask = attention_mask(config, qa, ka)
    mix = mix_current(config, dwc, k_spikes, mask)
    if config.dwc and config.mix_neuron:
        mix = layer_spikes(config, mix, per_channel(dwc.threshold))
    return {"qa": qa.flatten(-2), "ka": ka.flatten(-2), "k": k_spikes, "mask": mask, "mix": mix}


def attend(config: ModelConfig, core: Core, parts: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """What the neurons of a mechanism fire and what it puts out, uint8, from what its projections' neurons put out."""
    counts = core.counts({part: spikes.to(torch.int32) for part, spikes in parts.items()}, heads=config.heads)
    fired = attention_spikes(config, counts << UNIT_BITS, core.threshold)
    return fired, core.output(fired, parts, heads=config.heads)


def run_core(model: IntegerModel, name: str, spikes: Tensor, core: Core) -> dict[str, Tensor]:
    """A mechanism of `golden.attention` on LIF(U), uint8 [T, B, D, H, W]; the last value is the projection's input."""
    config = model.config
    parts = {}
    for part in core.parts:
        layer = model.layer(f"{name}.{part}")
        current, threshold = project(spikes, layer), per_channel(layer.threshold)
        parts[part] = run_neuron(core.neuron(part, config), current, threshold, reset=config.reset)
    fired, mix = attend(config, core, parts)
    return {**parts, "fired": fired, "mix": mix}


def run_block(model: IntegerModel, index: int, stream: Tensor) -> Trace:
    """One encoder block (eq. 6-7): the stream int32 [T, B, D, H, W] in, everything it computes out."""
    name, config = f"blocks.{index}", model.config
    stream_threshold = per_channel(model.stream_threshold)
    fc1 = model.layer(f"{name}.fc1")
    spikes = layer_spikes(config, stream, stream_threshold)
    core = find_core(config)
    attention = run_core(model, name, spikes, core) if core else run_attention(model, name, spikes)
    proj = model.layer(f"{name}.proj")
    middle, first = write_stream(stream, project(attention["mix"], proj), proj.shift)
    mlp_input = layer_spikes(config, middle, stream_threshold)
    hidden = layer_spikes(config, project(mlp_input, fc1), per_channel(fc1.threshold))
    fc2 = model.layer(f"{name}.fc2")
    after, second = write_stream(middle, project(hidden, fc2), fc2.shift)
    values = {"input": spikes, **attention, "stream.proj": middle, "mlp_input": mlp_input}
    values |= {"fc1": hidden, "stream.fc2": after}
    return Trace(
        values={f"{name}.{key}": value for key, value in values.items()},
        saturations={f"{name}.stream.proj": first, f"{name}.stream.fc2": second},
    )


def run_head(model: IntegerModel, stream: Tensor) -> dict[str, Tensor]:
    """The head's spikes (or their counts over the tokens) [T, B, D], and the logits [T, B, classes]."""
    config, threshold = model.config, model.stream_threshold
    if config.head is Head.RATE:
        fired = layer_spikes(config, stream, per_channel(threshold))
        features = fired.sum(dim=(-2, -1), dtype=torch.int32)
    else:
        total = stream.sum(dim=(-2, -1), dtype=torch.int32)
        features = layer_spikes(config, total, config.tokens * threshold)
    logits = project(features[..., None, None], model.layer("head")).flatten(2)
    return {"head": features, "logits": logits}


def run(model: IntegerModel, images: Tensor) -> Trace:
    """Run pixels uint8 [B, C, H, W], or frames of events uint8 [B, T, C, H, W], through the network.

    The values of the trace, in the order in which they are computed (i counts the blocks; spikes are uint8, numbers
    int32): frames [T, B, C, H, W], where these are the input; spikes conv1, conv2, conv3, conv4 [T, B, C, H, W];
    stream.conv4, stream.conv5 [T, B, D, H, W]; blocks.i.input [T, B, D, H, W], blocks.i.qa and blocks.i.ka
    [T, B, D, n] (counts, int32, where `aggregate` is "spike"), blocks.i.k [T, B, D, H, W], blocks.i.mask [T, B, D],
    blocks.i.mix [T, B, D, H, W] (numbers where `mix_neuron` is false; other attention than SASA has its projections'
    spikes, .q, .k and .v, and .fired, its neuron's, in place of .qa, .ka, .k and .mask), blocks.i.stream.proj,
    blocks.i.mlp_input,
    blocks.i.fc1 [T, B, hidden, H, W], blocks.i.stream.fc2; head [T, B, D] (counts, int32, where `head` is "rate");
    logits [T, B, classes].

    Raises SaformerError: images of another shape, or frames of other numbers than 0 and 1.
    """
    config = model.config
    check_images(config, images)
    trace = run_patch_splitting(model, images)
    values, saturations = dict(trace.values), dict(trace.saturations)
    stream = values["stream.conv5"]
    for index in range(config.depth):
        trace = run_block(model, index, stream)
        values |= trace.values
        saturations |= trace.saturations
        stream = values[f"blocks.{index}.stream.fc2"]
    return Trace(values=values | run_head(model, stream), saturations=saturations)
