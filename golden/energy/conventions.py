"""The same work, billed by several conventions: eq. 18 and 19 of the paper, integers, memory, a quantised network."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from golden.config import ModelConfig
from golden.energy.costs import AC_PJ, MAC_PJ, MJ_PER_PJ, Costs
from golden.energy.workload import STREAM_BITS, Kind, LayerWork, Movement, Workload, from_rate

# Halvings of the interval of rates in which spiking and quantised networks cost the same.
_HALVINGS = 40


@dataclass(frozen=True, kw_only=True)
class Convention:
    """A way of billing: the name that JSON has, what it bills in words, and the pJ of every layer.

    `needs_shapes` says that it bills more than operations, so that a table of firing rates is not enough.
    """

    name: str
    bills: str
    layers: Callable[[Workload, Costs], list[float]]
    needs_shapes: bool = True

    def millijoules(self, work: Workload, costs: Costs) -> float:
        """Energy of one image in mJ."""
        return MJ_PER_PJ * sum(self.layers(work, costs))


def _per_operation(
    work: Workload, _costs: Costs | None = None, *, executed: bool = True, repeat_conv1: bool = False
) -> list[float]:
    """Eq. 19, whose prices are its own."""

    def price(layer: LayerWork) -> float:
        if layer.kind is Kind.AC:
            return AC_PJ * (layer.executed if executed else layer.estimate)
        return MAC_PJ * layer.estimate * (work.timesteps if repeat_conv1 and layer.timesteps == 1 else 1)

    return [price(layer) for layer in work.layers]


def _updates(moved: Movement, costs: Costs, timesteps: int) -> float:
    """Neurons, each an addition and a comparison, and the additions of numbers."""
    neurons = 2 * moved.neurons * costs.add(moved.accumulator_bits)
    return timesteps * (neurons + moved.additions * costs.add(STREAM_BITS))


def _integer(work: Workload, costs: Costs) -> list[float]:
    def price(layer: LayerWork) -> float:
        moved = layer.movement
        operation = costs.add(moved.accumulator_bits)
        if layer.kind is Kind.MAC:
            operation += costs.multiply(max(moved.input_bits, moved.weight_bits), moved.weight_bits)
        return layer.executed * operation + _updates(moved, costs, work.timesteps)

    return [price(layer) for layer in work.layers]


@dataclass(frozen=True)
class _Memories:
    """The price of a bit in each memory, which is as large as the network needs it."""

    weights: float
    spikes: float
    membranes: float
    stream: float


def _memories(work: Workload, costs: Costs, *, activations: Sequence[float], steps: int) -> _Memories:
    """The memories of a network whose layers' activations have so many bits, over so many timesteps at once."""
    moved = [layer.movement for layer in work.layers]
    return _Memories(
        weights=costs.sram_bit(sum(each.weights * each.weight_bits for each in moved)),
        spikes=costs.sram_bit(max(activations)),
        membranes=costs.sram_bit(max(each.neurons * each.accumulator_bits for each in moved)),
        stream=costs.sram_bit(max(each.stream for each in moved) * STREAM_BITS * steps),
    )


def _from_sram(
    work: Workload, costs: Costs, *, weights_once: bool = False, parallel_steps: bool = False, dram: bool = False
) -> list[float]:
    activations = [
        layer.movement.inputs * layer.movement.input_bits * layer.timesteps
        + layer.movement.output_bits * work.timesteps
        for layer in work.layers
    ]
    memories = _memories(work, costs, activations=activations, steps=work.timesteps)

    def price(layer: LayerWork) -> float:
        moved, steps = layer.movement, work.timesteps
        fetched = moved.weights if weights_once else layer.fetches
        membranes = 0 if parallel_steps else 2 * moved.neurons * moved.accumulator_bits * steps
        return (
            fetched * moved.weight_bits * memories.weights
            + moved.weights * moved.weight_bits * costs.dram_bit * dram
            + moved.inputs * moved.input_bits * layer.timesteps * memories.spikes
            + moved.output_bits * steps * memories.spikes
            + membranes * memories.membranes
            + 2 * moved.stream * STREAM_BITS * steps * memories.stream
        )

    return [sum(parts) for parts in zip(_integer(work, costs), map(price, work.layers), strict=True)]


def activation_bits(timesteps: int) -> int:
    """Bits of an activation that tells as many values apart as a count of spikes does: ceil(log2(T + 1))."""
    return math.ceil(math.log2(timesteps + 1))


def _quantised(work: Workload, costs: Costs) -> list[float]:
    bits = activation_bits(work.timesteps)
    moves = [layer.movement for layer in work.layers]
    activations = [each.inputs * max(bits, each.input_bits) + each.outputs * bits for each in moves]
    memories = _memories(work, costs, activations=activations, steps=1)

    def price(layer: LayerWork) -> float:
        moved = layer.movement
        operand = max(bits, moved.input_bits)
        # Sums of pixels, and of neurons of several levels, are wide enough.
        accumulator = moved.accumulator_bits + (bits if moved.input_bits <= 2 else 0)
        operation = costs.multiply(operand, moved.weight_bits) + costs.add(accumulator)
        return (
            layer.operations / layer.timesteps * operation
            + _updates(moved, costs, 1)
            + moved.weights * moved.weight_bits * memories.weights
            + (moved.inputs * operand + moved.outputs * bits) * memories.spikes
            + 2 * moved.stream * STREAM_BITS * memories.stream
        )

    return [price(layer) for layer in work.layers]


CONVENTIONS = (
    Convention(
        name="eq19",
        bills="the paper's: 4.6 pJ a MAC of conv1, once, 0.9 pJ an executed accumulate (32-bit float, 45 nm)",
        layers=_per_operation,
        needs_shapes=False,
    ),
    Convention(
        name="eq19_dense_estimate",
        bills="the same, accumulates by eq. 18 (fr x T x FLOPs) instead of counted",
        layers=partial(_per_operation, executed=False),
        needs_shapes=False,
    ),
    Convention(
        name="eq19_conv1_each_step",
        bills="as eq19, conv1 of an image at every timestep instead of once",
        layers=partial(_per_operation, repeat_conv1=True),
    ),
    Convention(
        name="integer",
        bills="integer additions as wide as each layer's sums, conv1 by multipliers; neurons and the stream besides",
        layers=_integer,
    ),
    Convention(
        name="integer_sram",
        bills="and weights (for every event), spikes, membranes, stream from SRAM of the size they need",
        layers=_from_sram,
    ),
    Convention(
        name="integer_dram",
        bills="as integer_sram, and every weight once an image from DRAM",
        layers=partial(_from_sram, dram=True),
    ),
    Convention(
        name="integer_weights_once",
        bills="as integer_sram, but every weight is fetched once an image, as the quantised network does it",
        layers=partial(_from_sram, weights_once=True),
    ),
    Convention(
        name="integer_parallel_steps",
        bills="as integer_weights_once, all timesteps of a neuron at once: its membrane is never stored",
        layers=partial(_from_sram, weights_once=True, parallel_steps=True),
    ),
    Convention(
        name="quantised_network",
        bills="the same layers once, activations of ceil(log2(T + 1)) bits, dense, each weight fetched once from SRAM",
        layers=_quantised,
    ),
)
BY_NAME = {convention.name: convention for convention in CONVENTIONS}


def bill(work: Workload, costs: Costs) -> Mapping[str, float]:
    """Energy of one image in mJ by every convention that the work says enough for, by name."""
    return {
        convention.name: convention.millijoules(work, costs)
        for convention in CONVENTIONS
        if work.has_shapes or not convention.needs_shapes
    }


def described(energy_mj: Mapping[str, float]) -> list[tuple[str, float, str]]:
    """Name, mJ and what is billed, of the conventions in a record of energies."""
    return [
        (convention.name, energy_mj[convention.name], convention.bills)
        for convention in CONVENTIONS
        if convention.name in energy_mj
    ]


def layer_millijoules(work: Workload) -> Mapping[str, float]:
    """Energy of every layer by eq. 19, executed, in mJ."""
    return {layer.name: MJ_PER_PJ * price for layer, price in zip(work.layers, _per_operation(work), strict=True)}


def break_even_rate(config: ModelConfig, costs: Costs, name: str) -> float | None:
    """The firing rate below which a network billed by a convention costs less than the quantised network.

    None where it costs more even if nothing fires; 1.0 where it always costs less. Published, for a model of data
    movement other than this one: 5.7 % at T = 5 (Z. Yan et al., arXiv:2409.08290).
    """

    def saves(rate: float) -> bool:
        work = from_rate(config, rate)
        return BY_NAME[name].millijoules(work, costs) < BY_NAME["quantised_network"].millijoules(work, costs)

    if not saves(0.0):
        return None
    low, high = 0.0, 1.0
    if saves(high):
        return high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if saves(middle) else (low, middle)
    return low
