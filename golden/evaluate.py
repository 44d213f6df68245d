"""Accuracy and counts of an integer model on a set of images."""

import functools
import operator
import time

import torch
from torch import Tensor
from tqdm import tqdm

from golden.config import ModelConfig
from golden.counts import Counts, LayerCounts, count
from golden.data import NO_LABEL
from golden.energy.conventions import bill, layer_millijoules
from golden.energy.costs import load_costs
from golden.energy.paper import paper_figure
from golden.energy.workload import Kind, from_counts, input_kind, movement
from golden.errors import SaformerError
from golden.integer import IntegerModel, run
from golden.layers import LayerKind

BATCH = 20


def _layer_record(config: ModelConfig, counts: LayerCounts) -> dict:
    layer, sops = counts.layer, int(counts.sops.sum())
    # Numbers are multiplied; an image by conv1 once, whatever bits its pixels have.
    products = counts.macs if layer.kind is LayerKind.PIXEL_CONV else sops
    return {
        "name": counts.layer.name,
        "firing_rate": counts.firing_rate,
        "spikes": int(counts.spikes.sum()),
        "sops": sops,
        "sops_dense_estimate": counts.sops_dense_estimate,
        "events": counts.events,
        "additions": counts.additions,
        "multiplications": products if input_kind(config, layer) is Kind.MAC else 0,
        "comparisons": movement(config, layer).neurons * config.timesteps * counts.images,
    }


def energy_record(config: ModelConfig, counts: Counts) -> dict:
    """Millijoules per image by every convention, by eq. 19 for every layer, and the paper's figure beside them."""
    paper, work = paper_figure(config), from_counts(config, counts)
    return {
        **bill(work, load_costs()),
        "eq19_layers": dict(layer_millijoules(work)),
        "paper": paper.energy_mj,
        "paper_network": paper.network,
        "paper_data": paper.data,
    }


def count_images(model: IntegerModel, images: Tensor, *, batch: int = BATCH, pooled_query: bool = False) -> Counts:
    """The counts of all images, uint8 [K, C, H, W] or frames [K, T, C, H, W]. Raises SaformerError as `count` does."""
    counted = (count(model.config, some, run(model, some), pooled_query=pooled_query) for some in images.split(batch))
    return functools.reduce(operator.add, counted)


def predict(model: IntegerModel, images: Tensor, *, batch: int = BATCH) -> Tensor:
    """The class of every image, int64 [K], without counting. Raises SaformerError as `run` does."""
    return torch.cat([run(model, some).predictions for some in images.split(batch)])


def evaluate(
    model: IntegerModel, images: Tensor, labels: Tensor, *, batch: int = BATCH, progress: bool = False
) -> dict:
    """Run `images`, uint8 [K, C, H, W] or frames [K, T, C, H, W], and return the figures of `saformer golden`.

    Keys: model, images, accuracy (None if any of the `labels` [K] is `NO_LABEL`), images_per_second, layers (name,
    firing_rate of the input, spikes, sops, sops_dense_estimate, events, additions of an attention's numbers,
    multiplications where inputs are numbers, comparisons of neurons: totals over the images), mask_rate (by block:
    share of channels and timesteps at which SASA's mask fires), saturations (total), energy_mj (per image).

    Raises SaformerError: no images, or images of the wrong shape.
    """
    if len(images) == 0 or len(images) != len(labels):
        raise SaformerError(f"evaluation needs images and as many labels, not {len(images)} and {len(labels)}")
    started, right, counts = time.monotonic(), 0, None
    pairs = zip(images.split(batch), labels.split(batch), strict=True)
    for pixels, truth in tqdm(pairs, total=-(-len(images) // batch), disable=not progress, unit="batch"):
        trace = run(model, pixels)
        right += int((trace.predictions == truth).sum())
        counted = count(model.config, pixels, trace)
        counts = counted if counts is None else counts + counted
    return {
        "model": model.config.name,
        "images": len(images),
        "accuracy": None if (labels == NO_LABEL).any() else right / len(images),
        "images_per_second": len(images) / (time.monotonic() - started),
        "layers": [_layer_record(model.config, layer) for layer in counts.layers],
        "mask_rate": dict(counts.mask_rates(model.config)),
        "saturations": sum(int(value.sum()) for value in counts.saturations.values()),
        "energy_mj": energy_record(model.config, counts),
    }
