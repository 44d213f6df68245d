"""A whole network on the accelerator, image by image, compared with the integer model."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from golden.counts import Counts, LayerCounts, count
from golden.errors import SaformerError
from golden.evaluate import energy_record
from golden.integer import IntegerModel, Trace, run
from hw.allocate import channel_beats
from hw.config import HardwareConfig
from hw.counters import Counter
from hw.lowering import Lowered, LoweredLayer, lower
from hw.program import Kind
from sim.compare import HardwareRun, Mismatch, compare
from sim.expected import expect
from sim.simulate import Simulator


@dataclass(frozen=True, kw_only=True)
class LayerResult:
    """One layer of the program; counts and cycles are totals over the images.

    Members
    -------
    name, kind: of the layer; "load" is the only one that the integer model does not have.
    firing_rate: of its input, by the integer model.
    events: (output position, tap, input channel) whose input fires at any step, by the integer model.
    sops_golden, sops_rtl: accumulates executed, by the integer model and by the hardware's counter. They differ in
        one case: a model without depthwise convolution runs on the hardware with taps of zero, which it counts.
    weight_fetches, cycles: the hardware's counters.
    ideal_cycles: events times groups of output channels; beats of the map for the depthwise convolution and the pool;
        bytes for the load.
    counters: every counter of the hardware, by name.
    """

    name: str
    kind: str
    firing_rate: float
    events: int
    sops_golden: int
    sops_rtl: int
    weight_fetches: int
    cycles: int
    ideal_cycles: int
    counters: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class ImageMismatch:
    """A difference, and the number of the image in which it was found."""

    image: int
    mismatch: Mismatch

    def __str__(self) -> str:
        return f"image {self.image}, {self.mismatch}"


@dataclass(frozen=True, kw_only=True)
class CosimResult:
    """What the accelerator made of the images.

    Members
    -------
    model: its name.
    mismatches: every difference from the integer model; none if the run was bit-exact.
    predictions: of the hardware, int per image; labels: the truth.
    cycles: of each image, from its start to the last counter.
    cycles_per_second: of the simulation.
    layers: in the order of the program.
    energy_mj: see `golden.evaluate.energy_record`, per image.
    first: the integer model's run whose image 0 is the first image.
    """

    model: str
    mismatches: Sequence[ImageMismatch]
    predictions: Sequence[int]
    labels: Sequence[int]
    cycles: Sequence[int]
    cycles_per_second: float
    layers: Sequence[LayerResult]
    energy_mj: Mapping[str, object]
    first: Trace

    @property
    def bit_exact(self) -> bool:
        """The hardware did exactly what the integer model does."""
        return not self.mismatches

    @property
    def accuracy(self) -> float:
        """Share of the images that the hardware recognises."""
        right = sum(guess == truth for guess, truth in zip(self.predictions, self.labels, strict=True))
        return right / len(self.labels)

    @property
    def cycles_per_image(self) -> float:
        """Mean of the cycles."""
        return sum(self.cycles) / len(self.cycles)

    def to_json(self) -> dict:
        """Plain values, as `saformer cosim --json` writes them."""
        return {
            "model": self.model,
            "images": len(self.labels),
            "bit_exact": self.bit_exact,
            "mismatches": [str(mismatch) for mismatch in self.mismatches],
            "predictions": list(self.predictions),
            "labels": list(self.labels),
            "accuracy": self.accuracy,
            "cycles_per_image": self.cycles_per_image,
            "cycles_per_second": self.cycles_per_second,
            "layers": [vars(layer) | {"counters": dict(layer.counters)} for layer in self.layers],
            "sops": sum(layer.sops_rtl for layer in self.layers),
            "energy_mj": dict(self.energy_mj),
        }


def cosim(
    model: IntegerModel,
    images: Tensor,
    labels: Sequence[int],
    *,
    config: HardwareConfig,
    simulator: Simulator | None = None,
    lowered: Lowered | None = None,
    trace: Path | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> CosimResult:
    """Run images, uint8 [K, C, H, W], through the accelerator and the integer model, and compare everything.

    ``simulator`` is what runs it (by default one is made, and ``trace`` is the file for its waveform), ``lowered`` the
    program if it is not the model's own (a fault); ``progress`` is called with the images that are done and the cycles
    so far of the next one.

    Raises SaformerError: no images, images of the wrong shape, or a model that does not fit the hardware.
    """
    if len(images) == 0 or len(images) != len(labels):
        raise SaformerError(f"a comparison needs images and as many labels, not {len(images)} and {len(labels)}")
    lowered = lower(model, config) if lowered is None else lowered
    first = run(model, images[:1])
    with nullcontext(simulator) if simulator else Simulator(config=config, trace=trace) as runner:
        runner.load(lowered)
        return _cosim(model, lowered, runner, images, labels, first, progress)


def _cosim(
    model: IntegerModel,
    lowered: Lowered,
    simulator: Simulator,
    images: Tensor,
    labels: Sequence[int],
    first: Trace,
    progress: Callable[[int, int], object] | None,
) -> CosimResult:
    mismatches, predictions, runs, counts = [], [], [], None
    for number in range(len(images)):
        pixels = images[number : number + 1]
        golden = run(model, pixels) if number else first
        report = (lambda cycles, done=number: progress(done, cycles)) if progress else None
        result = simulator.run(pixels[0].numpy(), progress=report)
        found = compare(lowered, expect(lowered, golden, pixels.numpy(), image=0), result)
        mismatches += [ImageMismatch(image=number, mismatch=mismatch) for mismatch in found]
        predictions.append(_prediction(lowered, result))
        runs.append(result)
        counted = count(model.config, pixels, golden, chunk_bits=lowered.config.timesteps)
        counts = counted if counts is None else counts + counted
        if progress:
            progress(number + 1, 0)
    return CosimResult(
        model=model.config.name,
        mismatches=mismatches,
        predictions=predictions,
        labels=[int(label) for label in labels],
        cycles=[result.cycles for result in runs],
        cycles_per_second=simulator.native.cycles_per_second,
        layers=_layer_results(lowered, counts, runs),
        energy_mj=energy_record(model.config, counts),
        first=first,
    )


def _prediction(lowered: Lowered, result: HardwareRun) -> int:
    """The arg max of the hardware's logits summed over the model's timesteps, the first one on a tie."""
    logits, classes = result.ports["logits"], lowered.model.classes
    beats = channel_beats(classes, lowered.config)
    totals = np.zeros((beats, lowered.config.beat_channels), np.int64)
    known = logits.addresses < beats
    totals[logits.addresses[known]] = logits.values[known, :, : lowered.model.timesteps].sum(axis=2)
    return int(totals.ravel()[:classes].argmax())


def _layer_results(lowered: Lowered, counts: Counts, runs: Sequence[HardwareRun]) -> list[LayerResult]:
    golden = {layer.layer.name: layer for layer in counts.layers}
    results = []
    for number, layer in enumerate(lowered.layers):
        totals = {counter.name: sum(result.counter(number, counter) for result in runs) for counter in Counter}
        counted = golden.get(layer.step.name)
        results.append(
            LayerResult(
                name=layer.step.name,
                kind=layer.step.kind.name.lower(),
                firing_rate=counted.firing_rate if counted else 0.0,
                events=counted.events if counted else 0,
                sops_golden=int(counted.sops.sum()) if counted else 0,
                sops_rtl=totals[Counter.SOPS.name],
                weight_fetches=totals[Counter.WEIGHT_FETCHES.name],
                cycles=totals[Counter.CYCLES.name],
                ideal_cycles=_ideal_cycles(layer, lowered.config, counted, images=len(runs)),
                counters=totals,
            )
        )
    return results


def _ideal_cycles(layer: LoweredLayer, config: HardwareConfig, counted: LayerCounts | None, *, images: int) -> int:
    step = layer.step
    match step.kind:
        case Kind.LOAD:
            return images * step.writes.positions * step.writes.channels
        case Kind.EVENT:
            return counted.events * -(-step.outputs // config.lanes)
        case Kind.MIX:
            return images * step.reads.positions * channel_beats(step.outputs, config)
        case Kind.POOL:
            return images * step.tokens * channel_beats(step.outputs, config)
