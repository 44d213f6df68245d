"""What a comparison has found out: the figures of every layer and of the whole inference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from golden.config import ModelConfig
from golden.counts import Counts, LayerCounts
from golden.data import NO_LABEL
from golden.integer import Trace
from golden.layers import LayerKind, layers
from hw.compile.allocate import channel_beats
from hw.compile.lowering import Lowered, LoweredLayer
from hw.config import HardwareConfig
from hw.counters import Counter
from hw.program import Kind
from sim.compare import HardwareRun, Mismatch
from sim.expected import BACKGROUND


@dataclass(frozen=True, kw_only=True)
class LayerResult:
    """One layer of the program, or what the mixing unit did beside it; counts and cycles are totals over the images.

    Members
    -------
    name, kind: of the layer; "load" is the only one that the integer model does not have, and kind "mix" the only one
        that is not in the program.
    firing_rate: of its input, by the integer model.
    events: (pass, output position, tap, input channel) whose input fires at any step, by the integer model.
    sops_golden, sops_rtl: accumulates executed, by the integer model and by the hardware's counters. They differ in
        one case: a model without depthwise convolution runs on the hardware with taps of zero, which it counts.
    weight_fetches, cycles: the hardware's counters; mixing runs in the background and has no cycles of its own.
    ideal_cycles: events times groups of output channels; beats of the map for the pool; items for the load.
    counters: every counter of the hardware that belongs to it, by name.
    note: what is special about its figures, or "".
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
    note: str = ""


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
    layers: in the order of the program; mixing follows the layer that writes the keys.
    lanes, timesteps: of the hardware.
    image_bytes: of the program in external memory.
    bus_bytes: read from there for each image, by the hardware's counter.
    dense_operations: multiply-accumulates of the network without sparsity, an image at all timesteps; conv1 of an
        image counts once.
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
    lanes: int
    timesteps: int
    image_bytes: int
    bus_bytes: Sequence[int]
    dense_operations: int
    energy_mj: Mapping[str, object]
    first: Trace

    @property
    def bit_exact(self) -> bool:
        """The hardware did exactly what the integer model does."""
        return not self.mismatches

    @property
    def accuracy(self) -> float | None:
        """Share of the images that the hardware recognises; None where there is no truth."""
        if NO_LABEL in self.labels:
            return None
        right = sum(guess == truth for guess, truth in zip(self.predictions, self.labels, strict=True))
        return right / len(self.labels)

    @property
    def cycles_per_image(self) -> float:
        """Mean of the cycles."""
        return sum(self.cycles) / len(self.cycles)

    @property
    def waiting_cycles(self) -> float:
        """Cycles in which the engine waited for the memory, per image."""
        return sum(layer.counters.get(Counter.WAITING.name, 0) for layer in self.layers) / len(self.labels)

    @property
    def accumulates_per_cycle(self) -> float:
        """Accumulates that the spikes demand, by the integer model, over all cycles of the inference."""
        return sum(layer.sops_golden for layer in self.layers) / sum(self.cycles)

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
            "image_bytes": self.image_bytes,
            "bus_bytes": list(self.bus_bytes),
            "waiting_cycles": self.waiting_cycles,
            "accumulates_per_cycle": self.accumulates_per_cycle,
            "accumulates_per_cycle_and_lane": self.accumulates_per_cycle / self.lanes,
            "accumulates_per_cycle_and_adder": self.accumulates_per_cycle / (self.lanes * self.timesteps),
            "dense_equivalent_per_cycle": self.dense_operations / self.cycles_per_image,
            "layers": [vars(layer) | {"counters": dict(layer.counters)} for layer in self.layers],
            "sops": sum(layer.sops_rtl for layer in self.layers),
            "energy_mj": dict(self.energy_mj),
        }


def dense_operations(config: ModelConfig) -> int:
    """Multiply-accumulates of the dense network: of an image's conv1 once, of all other layers at every timestep."""
    return sum(layer.macs * (1 if layer.kind is LayerKind.PIXEL_CONV else config.timesteps) for layer in layers(config))


def layer_results(lowered: Lowered, counts: Counts, runs: Sequence[HardwareRun]) -> list[LayerResult]:
    """The figures of every layer, from the integer model's counts and the hardware's counters of the same images."""
    golden = {layer.layer.name: layer for layer in counts.layers}
    results = []
    for number, layer in enumerate(lowered.layers):
        totals = {
            counter.name: sum(result.counter(number, counter) for result in runs)
            for counter in Counter
            if counter not in BACKGROUND
        }
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
                ideal_cycles=ideal_cycles(layer, lowered.config, counted, images=len(runs)),
                counters=totals,
            )
        )
        if layer.step.mix is not None:
            results.append(_mix_result(number, golden[layer.step.mix.name], runs))
    return results


def _mix_result(number: int, counted: LayerCounts, runs: Sequence[HardwareRun]) -> LayerResult:
    """What the mixing unit did during layer `number`, which writes the keys, and the next."""
    totals = {
        counter.name: sum(result.counter(place, counter) for result in runs for place in (number, number + 1))
        for counter in BACKGROUND
    }
    return LayerResult(
        name=counted.layer.name,
        kind="mix",
        firing_rate=counted.firing_rate,
        events=counted.events,
        sops_golden=int(counted.sops.sum()),
        sops_rtl=totals[Counter.MIX_SOPS.name],
        weight_fetches=0,
        cycles=0,
        ideal_cycles=0,
        counters=totals,
        note="in the background",
    )


def ideal_cycles(layer: LoweredLayer, config: HardwareConfig, counted: LayerCounts | None, *, images: int) -> int:
    """Cycles that a layer cannot do without: an event, an item or a beat takes one."""
    step = layer.step
    match step.kind:
        case Kind.LOAD:
            return images * step.writes.passes * step.writes.positions * step.writes.channels
        case Kind.EVENT:
            return counted.events * -(-step.outputs // config.lanes)
        case Kind.POOL:
            return images * step.passes * step.tokens * channel_beats(step.outputs, config)
