"""What a run of the integer model costs: spikes, synaptic operations and events, per layer and timestep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from golden.config import ModelConfig
from golden.integer import Trace
from golden.layers import Layer, LayerKind, layers

PIXEL_BITS = 8


@dataclass(frozen=True, kw_only=True)
class LayerCounts:
    """Counts of one layer, summed over the images. Tensors are int64 [T].

    Members
    -------
    layer: the layer.
    images: number of images that were counted.
    spikes: inputs that are not zero; for conv1 the set bits of the pixels, which it reads once, at step 0.
    output_spikes: spikes of what it produces for the next layer; zeros for a layer that only writes to the stream.
    sops: synaptic operations executed, that is input spikes times the output positions they reach times the output
        channels; for conv1 one for each set bit of a pixel; for mix the additions of the depthwise convolution and
        of the masked K.
    events: (output position, tap, input channel) whose input fires at any step; for conv1 the nonzero chunks of a
        pixel instead; 0 for mix and pool, which are not event-driven.
    """

    layer: Layer
    images: int
    spikes: Tensor
    output_spikes: Tensor
    sops: Tensor
    events: int

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
        )


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Counts of a whole run, summed over the images.

    Members
    -------
    layers: of every layer, in order.
    hits: per block, the sum of QA & KA (of their products where they are counts), int64 [T].
    saturations: per stream write, values changed by sat16, int64 [T].
    """

    layers: tuple[LayerCounts, ...]
    hits: Mapping[str, Tensor]
    saturations: Mapping[str, Tensor]

    @property
    def images(self) -> int:
        """Number of images that were counted."""
        return self.layers[0].images

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            layers=tuple(mine + its for mine, its in zip(self.layers, other.layers, strict=True)),
            hits={name: value + other.hits[name] for name, value in self.hits.items()},
            saturations={name: value + other.saturations[name] for name, value in self.saturations.items()},
        )


def reach(side: int, kernel: int) -> Tensor:
    """Output positions that an input position reaches, stride 1 and zero padding kernel // 2: int64 [side, side]."""
    half, index = kernel // 2, torch.arange(side)
    along = (index + half).clamp(max=side - 1) - (index - half).clamp(min=0) + 1
    return along[:, None] * along


def _per_step(x: Tensor) -> Tensor:
    """Sums over all axes but the first, int64 [T]."""
    return x.flatten(1).sum(dim=1, dtype=torch.int64)


def _set_bits(pixels: Tensor) -> Tensor:
    return sum((pixels >> bit & 1).to(torch.int64) for bit in range(PIXEL_BITS))


def _chunks(pixels: Tensor, bits: int) -> Tensor:
    """Nonzero chunks of `bits` bits, from the least significant on, of every pixel."""
    values = pixels.to(torch.int64)
    return sum((values >> low & (1 << bits) - 1).ne(0).to(torch.int64) for low in range(0, PIXEL_BITS, bits))


def _at_first_step(total: Tensor, timesteps: int) -> Tensor:
    steps = torch.zeros(timesteps, dtype=torch.int64)
    steps[0] = total
    return steps


def _pixel_counts(layer: Layer, images: Tensor, timesteps: int, chunk_bits: int) -> dict:
    weights, bits = reach(layer.side, layer.kernel), _set_bits(images)
    return {
        "spikes": _at_first_step(bits.sum(), timesteps),
        "sops": _at_first_step((bits * weights).sum() * layer.channels, timesteps),
        "events": int((_chunks(images, chunk_bits) * weights).sum()),
    }


def _event_counts(layer: Layer, x: Tensor) -> dict:
    """Counts of a layer whose inputs [T, B, C, ...] meet a dense weight matrix."""
    fires = x.reshape(*x.shape[:3], layer.side, layer.side).ne(0)
    weights = reach(layer.side, layer.kernel)
    return {
        "spikes": _per_step(fires),
        "sops": _per_step(fires * weights) * layer.channels,
        "events": int((fires.any(dim=0) * weights).sum()),
    }


def _mix_counts(layer: Layer, config: ModelConfig, k: Tensor, mask: Tensor) -> dict:
    convolved = _per_step(k * reach(layer.side, layer.kernel)) + _per_step(k & mask[..., None, None])
    return {"spikes": _per_step(k), "sops": convolved if config.dwc else torch.zeros_like(convolved), "events": 0}


def _layer_counts(layer: Layer, config: ModelConfig, images: Tensor, trace: Trace, chunk_bits: int) -> LayerCounts:
    silent, values = torch.zeros(config.timesteps, dtype=torch.int64), trace.values
    if layer.kind is LayerKind.PIXEL_CONV:
        counted = _pixel_counts(layer, images, config.timesteps, chunk_bits)
    elif layer.kind is LayerKind.MIX:
        mask = values[layer.outputs[0]]
        counted = _mix_counts(layer, config, values[layer.input], mask)
    elif layer.kind is LayerKind.POOL:
        counted = {"spikes": silent, "sops": silent, "events": 0}
    else:
        counted = _event_counts(layer, values[layer.input])
    spiking = [name for name in layer.outputs if "stream" not in name and name != "logits"]
    output_spikes = _per_step(values[spiking[-1]].ne(0)) if spiking else silent
    return LayerCounts(layer=layer, images=len(images), output_spikes=output_spikes, **counted)


def count(config: ModelConfig, images: Tensor, trace: Trace, *, chunk_bits: int | None = None) -> Counts:
    """Count what the run `trace` of `images`, uint8 [B, C, H, W], costs.

    `chunk_bits` is the number of bits of a pixel that are processed at once, the timesteps by default.
    """
    bits = min(PIXEL_BITS, config.timesteps if chunk_bits is None else chunk_bits)
    blocks = [f"blocks.{index}" for index in range(config.depth)]
    values = trace.values
    return Counts(
        layers=tuple(_layer_counts(layer, config, images, trace, bits) for layer in layers(config)),
        hits={name: _per_step(values[f"{name}.qa"].to(torch.int64) * values[f"{name}.ka"]) for name in blocks},
        saturations={name: _per_step(value) for name, value in trace.saturations.items()},
    )
