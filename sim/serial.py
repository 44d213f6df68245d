"""A whole network on the simulated serial accelerator, compared with the integer model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from golden.counts import Counts, LayerCounts, count
from golden.integer import IntegerModel, Trace, run
from hw.compile.schedule import Map
from hw.compile.serial import Plan, SerialLowered, fires, is_small, lower_serial
from hw.serial.accelerator import COUNTERS, SerialAccelerator
from hw.serial.config import PLANES, SerialConfig
from hw.serial.program import Fold, Mode
from sim.native import NativeModel
from sim.records import Records
from sim.serial_addresses import map_address, stream_address

TRACES = SPIKES, STREAM = "trace_spikes", "trace_stream"
"""Ports that show what a layer writes."""

LIMIT = 200_000_000
"""Cycles after which a run is given up."""


@dataclass(frozen=True, kw_only=True)
class SerialLayer:
    """What the accelerator counted of a layer, and the accumulates of the integer model (0 where it counts none)."""

    name: str
    cycles: int
    events: int
    saturations: int
    sops: int


@dataclass(frozen=True, kw_only=True)
class SerialRun:
    """One image.

    Members
    -------
    mismatches : what differs from the integer model, a line each
    prediction : the class
    layers : in the order of the program
    cycles : from the start to the end
    counts : of the integer model
    """

    mismatches: tuple[str, ...]
    prediction: int
    layers: tuple[SerialLayer, ...]
    cycles: int
    counts: Counts

    @property
    def sops(self) -> int:
        """Accumulates that the spikes demand, by the integer model."""
        return sum(layer.sops for layer in self.layers)


@dataclass(frozen=True, kw_only=True)
class Written:
    """Values that a layer writes in one kind of memory, int64 [count] each."""

    addresses: np.ndarray
    values: np.ndarray

    def differences(self, wanted: "Written") -> str | None:
        """Say in words what is not as it is wanted: every address once, with its value, in any order."""
        if len(np.unique(self.addresses)) < len(self.addresses):
            return "an address is written twice"
        order, expected = np.argsort(self.addresses), np.argsort(wanted.addresses)
        if not np.array_equal(self.addresses[order], wanted.addresses[expected]):
            missing = np.setdiff1d(wanted.addresses, self.addresses)
            beside = np.setdiff1d(self.addresses, wanted.addresses)
            return f"{len(missing)} addresses are not written, and {len(beside)} that should not be"
        found, right = self.values[order], wanted.values[expected]
        if (count := int((found != right).sum())) == 0:
            return None
        first = int(np.argmax(found != right))
        return (
            f"{count} of {len(right)} values differ, first at address {self.addresses[order][first]}: "
            f"{found[first]}, expected {right[first]}"
        )


class SerialSimulator:
    """A serial accelerator under Verilator with a program in its store.

    ``gates`` is the Verilog of its gates, to simulate these; ``trace`` a file for a waveform; ``stall`` the probability
    that a pixel or a word of the program pauses before it comes.
    """

    def __init__(
        self,
        lowered: SerialLowered,
        *,
        gates: str | None = None,
        trace: Path | None = None,
        stall: float = 0.0,
        seed: int = 1,
    ):
        self.lowered = lowered
        self.native = NativeModel(
            SerialAccelerator(config=lowered.config), identity=repr(lowered.config), gates=gates, trace=trace, seed=seed
        )
        for stream in ("store", "pixels"):
            self.native.stall(stream, stall)
        self.native.pulse("rewind")
        self.native.send("store", lowered.program.words())
        self.native.run_drained("store", limit=LIMIT)

    def __enter__(self) -> "SerialSimulator":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.native.close()

    def run(self, image: np.ndarray) -> int:
        """Run an image, uint8 [C, H, W]; return the cycles it took."""
        self.native.clear()
        self.native.send("pixels", np.ascontiguousarray(image.transpose(1, 2, 0)).ravel())
        begin = self.native.cycle
        self.native.pulse("start")
        self.native.run_until("done", limit=LIMIT)
        return self.native.cycle - begin


def cosim_serial(
    model: IntegerModel, images: Tensor, *, config: SerialConfig, simulator: SerialSimulator | None = None
) -> list[SerialRun]:
    """Run images, uint8 [K, C, H, W], on both, and compare every word of spikes, every value of the residual stream,
    every logit, and the counters.

    Raises SaformerError for a model that does not fit the hardware.
    """
    with simulator or SerialSimulator(lower_serial(model, config)) as runner:
        return [compare_image(model, runner, image) for image in images.split(1)]


def compare_image(model: IntegerModel, simulator: SerialSimulator, images: Tensor) -> SerialRun:
    """Run one image, uint8 [1, C, H, W], on both, and compare."""
    lowered, golden, image = simulator.lowered, run(model, images), images[0].numpy()
    cycles, mismatches = simulator.run(image), []
    records = {name: simulator.native.records(name) for name in ("counters", "logits", *TRACES)}
    for number, plan in enumerate(lowered.plans):
        for kind, wanted in _expected(lowered, plan, golden, image).items():
            if (what := _seen(lowered, records[kind], number, kind).differences(wanted)) is not None:
                mismatches.append(f"{plan.name}, {kind.removeprefix('trace_')}: {what}")
    counters = {name: records["counters"].field(name) for name in COUNTERS}
    counts = [{name: int(values[number]) for name, values in counters.items()} for number in range(len(lowered.plans))]
    logits = _shown(lowered, records["logits"])
    found = compare_counts(lowered, golden, images, counts, logits, cycles=cycles)
    return replace(found, mismatches=(*mismatches, *found.mismatches))


def compare_counts(
    lowered: SerialLowered,
    golden: Trace,
    images: Tensor,
    counts: Sequence[Mapping[str, int]],
    logits: Written,
    *,
    cycles: int,
) -> SerialRun:
    """Compare what a board shows of a run: the counters of every layer, and the logits by class and timestep."""
    model, layers, mismatches = lowered.model, [], []
    counted = {steps: count(model, images, golden, parallel=steps, pooled_query=False) for steps in (1, None)}
    serial, whole = ({layer.layer.name: layer for layer in each.layers} for each in counted.values())
    if len(counts) != len(lowered.plans):
        mismatches.append(f"counters of {len(counts)} layers, expected {len(lowered.plans)}")
    for plan, found in zip(lowered.plans, counts, strict=False):
        sops = int(whole[plan.name].sops.sum()) if plan.name in whole else 0
        layers.append(SerialLayer(name=plan.name, sops=sops, **found))
        clamped = int(golden.saturations[plan.stream].sum()) if plan.stream else 0
        for what, wanted in (("saturations", clamped), ("events", _events(lowered, plan, golden, serial))):
            if found[what] != wanted:
                mismatches.append(f"{plan.name}: {found[what]} {what}, expected {wanted}")
    if (what := logits.differences(_logits(golden))) is not None:
        mismatches.append(f"{lowered.plans[-1].name}, logits: {what}")
    totals = np.bincount(logits.addresses // PLANES, weights=logits.values, minlength=model.classes)
    return SerialRun(
        mismatches=tuple(mismatches),
        prediction=int(totals.argmax()),
        layers=tuple(layers),
        cycles=cycles,
        counts=counted[None],
    )


def _seen(lowered: SerialLowered, records: Records, number: int, kind: str) -> Written:
    """What a layer has written; channels that only fill up the last group are left out."""
    config = lowered.config
    addresses, known = records.field("address"), records.field("layer") == number
    if kind == STREAM:
        group = addresses // (config.lanes * config.timesteps) % config.stream_words
        known &= group * config.lanes + addresses % config.lanes < lowered.plans[number].outputs
    return Written(addresses=addresses[known], values=records.field("data")[known])


def _shown(lowered: SerialLowered, records: Records) -> Written:
    """The logits by class and timestep, likewise."""
    channels = records.field("group") * lowered.config.lanes + records.field("channel")
    known = channels < lowered.model.classes
    addresses = channels * PLANES + records.field("step")
    return Written(addresses=addresses[known], values=records.field("data")[known])


def _expected(lowered: SerialLowered, plan: Plan, golden: Trace, image: np.ndarray) -> dict[str, Written]:
    """What a layer must write."""
    maps = [output.spikes for output in (plan.position, plan.tile) if plan.mode is Mode.LOAD or fires(output)]
    parts = [_spikes(lowered, spikes, golden, image) for spikes in maps if spikes is not None]
    empty = np.zeros(0, np.int64)
    spikes = Written(
        addresses=np.concatenate([empty, *(part.addresses for part in parts)]),
        values=np.concatenate([empty, *(part.values for part in parts)]),
    )
    stream = Written(addresses=empty, values=empty)
    if plan.stream:
        values = golden.values[plan.stream][:, 0].numpy().astype(np.int64)  # [T, D, H, W]
        step, channel, row, column = np.indices(values.shape)
        addresses = stream_address(lowered.config, step=step, row=row, column=column, channel=channel)
        stream = Written(addresses=addresses.ravel(), values=values.ravel())
    return {SPIKES: spikes, STREAM: stream}


def _logits(golden: Trace) -> Written:
    """The logits, by class and timestep."""
    values = golden.logits[:, 0].numpy().astype(np.int64)
    step, channel = np.indices(values.shape)
    return Written(addresses=(channel * PLANES + step).ravel(), values=values.ravel())


def _events(lowered: SerialLowered, plan: Plan, golden: Trace, counted: Mapping[str, LayerCounts]) -> int:
    """Events that a layer takes: spikes, once for each group of outputs; or words of which a lane meets a spike."""
    if plan.mode is Mode.DENSE:
        # Bit-planes are read once, whatever the timesteps.
        passes = lowered.model.timesteps if plan.fold is Fold.BITS else 1
        return len(plan.weights) * counted[plan.name].events // passes
    if plan.mode is not Mode.DEPTHWISE:
        return 0
    inputs, masks = (_words(lowered, spikes, golden) for spikes in (plan.reads, plan.mask))
    fired, masked = (inputs != 0).astype(np.int64), (inputs & masks) != 0
    taps = 0
    if plan.kernel == 3:
        padded = np.pad(fired, [(0, 0), (0, 0), (1, 1), (1, 1)])
        height, width = fired.shape[2:]
        taps = sum(padded[..., y : y + height, x : x + width].sum() for y in range(3) for x in range(3))
    return int(taps) + plan.extra * int(masked.sum())


def _spikes(lowered: SerialLowered, spikes: Map, golden: Trace, image: np.ndarray) -> Written:
    """The words of a map, and where they lie."""
    config = lowered.config
    if spikes.planes > 1:
        values = (image >> np.arange(PLANES - 1, -1, -1)[:, None, None, None]) & 1
    else:
        values = golden.values[spikes.name][:, 0].numpy()
    data = _packed(values, spikes, config.lanes)
    step, word, row, column = np.indices(data.shape)
    place = {"slot": lowered.slots[spikes.name], "small": is_small(spikes, config)}
    addresses = map_address(config, step=step, row=row, column=column, word=word, **place)
    return Written(addresses=addresses.ravel(), values=data.ravel())


def _words(lowered: SerialLowered, spikes: Map, golden: Trace) -> np.ndarray:
    """The words of a map, int64 [T, words, H, W]."""
    return _packed(golden.values[spikes.name][:, 0].numpy(), spikes, lowered.config.lanes)


def _packed(values: np.ndarray, spikes: Map, lanes: int) -> np.ndarray:
    """Spikes of a map, any shape from [steps, ...], as words of `lanes` channels, int64 [steps, words, H, W]."""
    shaped = values.reshape(len(values), spikes.channels, spikes.height, spikes.width).astype(np.int64)
    padded = np.pad(shaped, [(0, 0), (0, -spikes.channels % lanes), (0, 0), (0, 0)])
    bits = padded.reshape(len(values), -1, lanes, spikes.height, spikes.width)
    return (bits << np.arange(lanes)[:, None, None]).sum(axis=2)
