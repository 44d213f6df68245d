"""A whole network on the accelerator, image by image, compared with the integer model."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from golden.counts import count
from golden.errors import SaformerError
from golden.evaluate import energy_record
from golden.integer import IntegerModel, Trace, run
from hw.compile.allocate import channel_beats
from hw.compile.lowering import Lowered, lower
from hw.config import HardwareConfig
from hw.counters import Counter
from hw.estimate.inference import estimate_image
from sim.compare import HardwareRun, compare
from sim.expected import expect
from sim.results import CosimResult, ImageMismatch, dense_operations, layer_results
from sim.simulate import Engine, Simulator


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where a comparison is: images that are done, and of the next one its cycles so far, the number of its layer, and
    about how many cycles it will take."""

    done: int
    cycles: int
    layer: int
    expected: int


def cosim(
    model: IntegerModel,
    images: Tensor,
    labels: Sequence[int],
    *,
    config: HardwareConfig,
    engine: Engine | None = None,
    lowered: Lowered | None = None,
    image: bytes | None = None,
    pooled_query: bool = True,
    progress: Callable[[Position], object] | None = None,
) -> CosimResult:
    """Run images, uint8 [K, C, H, W] or frames [K, T, C, H, W], through the accelerator and the integer model, and
    compare everything.

    ``engine`` is what runs it, by default a `Simulator` made for this call; ``lowered`` the program if it is not the
    model's own (a fault), ``image`` the bytes of its image if they are not those of the program; ``pooled_query`` how
    it computes queries; ``progress`` is called now and then.

    Raises SaformerError: no images, images of the wrong shape, or a model that does not fit the hardware.
    """
    if len(images) == 0 or len(images) != len(labels):
        raise SaformerError(f"a comparison needs images and as many labels, not {len(images)} and {len(labels)}")
    lowered = lower(model, config, pooled_query=pooled_query) if lowered is None else lowered
    first = run(model, images[:1])
    with nullcontext(engine) if engine else Simulator(config=config) as runner:
        runner.load(lowered, image=image)
        return _cosim(model, lowered, runner, images, labels, first, pooled_query, progress)


def _cosim(
    model: IntegerModel,
    lowered: Lowered,
    engine: Engine,
    images: Tensor,
    labels: Sequence[int],
    first: Trace,
    pooled_query: bool,
    progress: Callable[[Position], object] | None,
) -> CosimResult:
    mismatches, predictions, runs, counts = [], [], [], None
    for number in range(len(images)):
        pixels = images[number : number + 1]
        golden = run(model, pixels) if number else first
        counted = count(model.config, pixels, golden, parallel=lowered.config.timesteps, pooled_query=pooled_query)
        counts = counted if counts is None else counts + counted
        report = _reporter(progress, number, lowered, engine, golden, pixels) if progress else None
        result = engine.run(pixels[0].numpy(), progress=report)
        found = compare(lowered, expect(lowered, golden, pixels.numpy(), image=0), result)
        mismatches += [ImageMismatch(image=number, mismatch=mismatch) for mismatch in found]
        predictions.append(_prediction(lowered, result))
        runs.append(result)
    return CosimResult(
        model=model.config.name,
        mismatches=mismatches,
        predictions=predictions,
        labels=[int(label) for label in labels],
        cycles=[result.cycles for result in runs],
        cycles_per_second=engine.cycles_per_second,
        layers=layer_results(lowered, counts, runs),
        lanes=lowered.config.lanes,
        timesteps=lowered.config.timesteps,
        image_bytes=lowered.program.size,
        bus_bytes=[lowered.config.bus_bytes * result.total(Counter.BUS_WORDS) for result in runs],
        dense_operations=dense_operations(model.config),
        energy_mj=energy_record(model.config, counts),
        first=first,
    )


def _reporter(
    progress: Callable[[Position], object],
    number: int,
    lowered: Lowered,
    engine: Engine,
    golden: Trace,
    pixels: Tensor,
) -> Callable[[int, int], object]:
    """What an engine calls with the cycles and the layer of an image; an estimate says how many will come."""
    total = round(estimate_image(lowered, golden, pixels.numpy(), engine.memory).cycles)
    progress(Position(done=number, cycles=0, layer=0, expected=total))
    return lambda cycles, layer: progress(Position(done=number, cycles=cycles, layer=layer, expected=total))


def _prediction(lowered: Lowered, result: HardwareRun) -> int:
    """The arg max of the hardware's logits summed over the model's timesteps, the first one on a tie."""
    logits, model, config = result.ports["logits"], lowered.model, lowered.config
    beats = channel_beats(model.classes, config)
    passes = lowered.layers[-1].step.passes
    values = np.zeros((passes, beats, config.beat_channels, config.timesteps), np.int64)
    known = logits.addresses < passes * beats
    values.reshape(-1, *values.shape[2:])[logits.addresses[known]] = logits.values[known]
    steps = values.transpose(1, 2, 0, 3).reshape(beats * config.beat_channels, -1)
    return int(steps[: model.classes, : model.timesteps].sum(axis=1).argmax())
