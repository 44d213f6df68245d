"""What a run of the integer model costs: spikes, synaptic operations and events, per layer and timestep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from golden.attention.core import per_step
from golden.attention.registry import find_core
from golden.config import Aggregate, Attention, ModelConfig
from golden.errors import SaformerError
from golden.integer import Trace, window_sums
from golden.layers import Layer, LayerKind, layers

PIXEL_BITS = 8


@dataclass(frozen=True, kw_only=True)
class LayerCounts:
    """Counts of one layer, summed over the images. Tensors are int64 [T].

    Members
    -------
    layer: the layer.
    images: number of images that were counted.
    spikes: inputs that are not zero; for conv1 of an image the set bits of the pixels, once, at step 0.
    output_spikes: spikes of what it produces for the next layer; zeros for a layer that only writes to the stream.
    sops: synaptic operations executed, that is input spikes times the output positions they reach times the output
        channels; for conv1 of an image one for each set bit of a pixel, at the first step of every pass; for a pooled
        query one for each set bit of the window counts; for mix the additions of the depthwise convolution and of the
        masked K; for another attention the accumulates of single bits.
    additions: of an attention, at all timesteps, those of numbers wider than a bit, which are not among the sops.
    events: (pass, output position, tap, input channel) whose input fires at any step of the pass; for conv1 of an
        image the nonzero chunks of a pixel instead, for a pooled query the bit-planes of the counts; 0 for mix and
        pool, which are not event-driven.
    """

    layer: Layer
    images: int
    spikes: Tensor
    output_spikes: Tensor
    sops: Tensor
    events: int
    additions: int = 0

    @property
    def input_sites(self) -> int:
        """Inputs that could fire at one timestep, over all images; bits for conv1."""
        bits = PIXEL_BITS if self.layer.kind is LayerKind.PIXEL_CONV else 1
        return bits * self.layer.inputs * self.layer.side**2 * self.images

    @property
    def steps(self) -> int:
        """Timesteps at which the layer reads its input: conv1's is the same at all, and read once."""
        return 1 if self.layer.kind is LayerKind.PIXEL_CONV else len(self.spikes)

    @property
    def firing_rate(self) -> float:
        """Share of the inputs that fire, over all timesteps; 0 for the pool, which reads numbers."""
        if self.layer.kind is LayerKind.POOL:
            return 0.0
        return int(self.spikes.sum()) / (self.input_sites * self.steps)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense layer at one timestep, over all images."""
        return self.layer.macs * self.images

    @property
    def sops_dense_estimate(self) -> float:
        """fr * T * FLOPs of eq. 18: what the paper counts. conv1 counts once, at the rate of its set bits."""
        return int(self.spikes.sum()) * self.macs / self.input_sites if self.macs else 0.0

    def __add__(self, other: LayerCounts) -> LayerCounts:
        return LayerCounts(
            layer=self.layer,
            images=self.images + other.images,
            spikes=self.spikes + other.spikes,
            output_spikes=self.output_spikes + other.output_spikes,
            sops=self.sops + other.sops,
            events=self.events + other.events,
            additions=self.additions + other.additions,
        )


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Counts of a whole run, summed over the images.

    Members
    -------
    layers: of every layer, in order.
    hits: per block with SASA, the sum of QA & KA (of their products where they are counts), int64 [T].
    masks: per block with SASA, the channels whose mask fires, int64 [T].
    saturations: per stream write, values changed by sat16, int64 [T].
    """

    layers: tuple[LayerCounts, ...]
    hits: Mapping[str, Tensor]
    masks: Mapping[str, Tensor]
    saturations: Mapping[str, Tensor]

    @property
    def images(self) -> int:
        """Number of images that were counted."""
        return self.layers[0].images

    def mask_rates(self, config: ModelConfig) -> Mapping[str, float]:
        """Per block, the share of channels whose mask fires, over images and timesteps."""
        sites = self.images * config.timesteps * config.dim
        return {name: int(value.sum()) / sites for name, value in self.masks.items()}

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            layers=tuple(mine + its for mine, its in zip(self.layers, other.layers, strict=True)),
            hits={name: value + other.hits[name] for name, value in self.hits.items()},
            masks={name: value + other.masks[name] for name, value in self.masks.items()},
            saturations={name: value + other.saturations[name] for name, value in self.saturations.items()},
        )


def reach(side: int, kernel: int) -> Tensor:
    """Output positions that an input position reaches, stride 1 and zero padding kernel // 2: int64 [side, side]."""
    half, index = kernel // 2, torch.arange(side)
    along = (index + half).clamp(max=side - 1) - (index - half).clamp(min=0) + 1
    return along[:, None] * along


def _set_bits(pixels: Tensor) -> Tensor:
    return sum((pixels >> bit & 1).to(torch.int64) for bit in range(PIXEL_BITS))


def _chunks(pixels: Tensor, bits: int) -> Tensor:
    """Nonzero chunks of `bits` bits, from the least significant on, of every pixel."""
    values = pixels.to(torch.int64)
    return sum((values >> low & (1 << bits) - 1).ne(0).to(torch.int64) for low in range(0, PIXEL_BITS, bits))


def _passes(fires: Tensor, parallel: int) -> Tensor:
    """Whether an input [T, ...] fires at any step of a pass of `parallel` steps: bool [passes, ...]."""
    return torch.stack([steps.any(dim=0) for steps in fires.split(parallel)])


def _pixel_counts(layer: Layer, images: Tensor, timesteps: int, parallel: int) -> dict:
    weights, bits = reach(layer.side, layer.kernel), _set_bits(images)
    first, passes = torch.arange(timesteps), -(-timesteps // parallel)
    return {
        "spikes": bits.sum() * (first == 0),
        "sops": (bits * weights).sum() * layer.channels * (first % parallel == 0),
        "events": passes * int((_chunks(images, min(PIXEL_BITS, parallel)) * weights).sum()),
    }


def _event_counts(layer: Layer, x: Tensor, parallel: int) -> dict:
    """Counts of a layer whose inputs [T, B, C, ...] meet a dense weight matrix."""
    fires = x.reshape(*x.shape[:3], layer.side, layer.side).ne(0)
    weights = reach(layer.side, layer.kernel)
    return {
        "spikes": per_step(fires),
        "sops": per_step(fires * weights) * layer.channels,
        "events": int((_passes(fires, parallel) * weights).sum()),
    }


def _query_counts(layer: Layer, config: ModelConfig, x: Tensor, parallel: int) -> dict:
    """Counts of a query that reads window counts of its inputs [T, B, C, H, W], bit-plane after bit-plane."""
    counts = window_sums(x, config.window_kernel)
    planes = torch.stack([counts >> bit & 1 for bit in range(config.window_tokens.bit_length())], dim=1).bool()
    return {
        "spikes": per_step(x),
        "sops": per_step(planes) * layer.channels,
        "events": int(_passes(planes, parallel).sum()),
    }


def mix_counts(layer: Layer, config: ModelConfig, k: Tensor, mask: Tensor) -> dict:
    """Counts of SASA's mixing, of the spikes K [T, B, D, H, W] and the mask [T, B, D]."""
    convolved = per_step(k * reach(layer.side, layer.kernel)) + per_step(k & mask[..., None, None])
    return {"spikes": per_step(k), "sops": convolved if config.dwc else torch.zeros_like(convolved), "events": 0}


def _core_counts(layer: Layer, config: ModelConfig, trace: Trace) -> dict:
    core, block = find_core(config), layer.name.removesuffix(".attend")
    parts = {part: trace.values[f"{block}.{part}"] for part in core.parts}
    work = core.work(parts, heads=config.heads)
    spikes = per_step(parts[core.parts[0]])
    return {"spikes": spikes, "sops": work.accumulates, "events": 0, "additions": int(work.additions.sum())}


def _layer_counts(layer: Layer, config: ModelConfig, images: Tensor, trace: Trace, parallel: int, pooled: bool) -> dict:
    silent, values = torch.zeros(config.timesteps, dtype=torch.int64), trace.values
    match layer.kind:
        case LayerKind.PIXEL_CONV:
            return _pixel_counts(layer, images, config.timesteps, parallel)
        case LayerKind.MIX:
            return mix_counts(layer, config, values[layer.input], mask=values[layer.outputs[0]])
        case LayerKind.ATTEND:
            return _core_counts(layer, config, trace)
        case LayerKind.POOL:
            return {"spikes": silent, "sops": silent, "events": 0}
    if pooled and layer.name.endswith(".q"):
        return _query_counts(layer, config, values[layer.input], parallel)
    return _event_counts(layer, values[layer.input], parallel)


def _output_spikes(layer: Layer, config: ModelConfig, trace: Trace) -> Tensor:
    spiking = [name for name in layer.outputs if "stream" not in name and name != "logits"]
    return per_step(trace.values[spiking[-1]].ne(0)) if spiking else torch.zeros(config.timesteps, dtype=torch.int64)


def count(
    config: ModelConfig, images: Tensor, trace: Trace, *, parallel: int | None = None, pooled_query: bool = False
) -> Counts:
    """Count what the run `trace` of `images`, uint8 [B, C, H, W] or frames [B, T, C, H, W], costs.

    `parallel` timesteps make a pass, all of them by default: an input that fires at any of them is one event, and so
    many bits of a pixel are processed at once. With `pooled_query` the query reads the sums of its input spikes over
    the windows, instead of every token.

    Raises SaformerError: a pooled query of a model that aggregates spikes instead of currents, or nothing.
    """
    if pooled_query and config.attention is not Attention.SASA:
        raise SaformerError(f"a query can be pooled where attention is sasa only, not {config.attention}")
    if pooled_query and config.aggregate is not Aggregate.CURRENT:
        raise SaformerError("a query can be pooled where aggregate is current only; count it token by token")
    parallel = config.timesteps if parallel is None else parallel
    aggregating = config.depth if config.attention is Attention.SASA else 0
    blocks = [f"blocks.{index}" for index in range(aggregating)]
    counted = tuple(
        LayerCounts(
            layer=layer,
            images=len(images),
            output_spikes=_output_spikes(layer, config, trace),
            **_layer_counts(layer, config, images, trace, parallel, pooled_query),
        )
        for layer in layers(config)
    )
    values = trace.values
    return Counts(
        layers=counted,
        hits={name: per_step(values[f"{name}.qa"].to(torch.int64) * values[f"{name}.ka"]) for name in blocks},
        masks={name: per_step(values[f"{name}.mask"]) for name in blocks},
        saturations={name: per_step(value) for name, value in trace.saturations.items()},
    )
