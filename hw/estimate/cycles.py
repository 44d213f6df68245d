"""The analytic model: cycles, memory traffic and limits of every layer, without a simulation.

Every EVENT layer is walked visit by visit, not cycle by cycle: a visit of a position lasts as long as it has events, at
least the interval of the drain, and no shorter than its words are read; a group of output channels waits for its
weights, and the projection for the mixing unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hw.attention.attention import mask_cycles
from hw.compile.allocate import channel_beats, map_beats
from hw.compile.intervals import intervals
from hw.compile.limits import STREAM_TARGETS
from hw.compile.pack import block_sections, group_rows
from hw.compile.schedule import Step
from hw.config import HardwareConfig
from hw.counters import Counter
from hw.estimate.activity import Activity
from hw.estimate.costs import Busy, Estimate, LayerEstimate, Lost, Traffic
from hw.estimate.timelines import ExternalMemory, FollowTiming, MixTimeline, WeightTimeline
from hw.neurons.neuron_path import NeuronPath
from hw.program import Kind, Memory, Target, descriptor_words, section_words
from hw.sequencer import SETTLE

BEGIN = 2
"""Cycles from the start, or from the last counter of a layer, to the next layer, beside the words of its descriptor."""

BURST = 7
"""Cycles from a request for a burst to its first word in the loader, beside the latency of the memory."""

DESCRIBED = 6
"""Cycles from the start of an inference to the descriptors, beside their words and the latency of the memory."""

REPORT = len(Counter) + 5
"""Cycles from the end of a layer to its last counter."""

FILL = 18
"""Cycles from the start of an EVENT layer to its first event in the lanes: walker 6, fetcher 8, emitter 2, lanes 2."""

READ = 8
"""Cycles from the start of an EVENT layer, or from a position that is mixed, to the first word that is read."""

EMPTY = 11
"""Cycles from the last event to the last current, besides its beats: lanes 3, difference 2, bit-planes 2, fold 4."""

REFILL = 8
"""Cycles without an event after a wait for weights: fetcher and emitter start again."""

MIX = 8
"""Cycles from a key to its current: spike memory 2, line buffer 1, adder tree 5."""

LOAD = 3
"""Cycles of a LOAD besides its items: it begins, and the last beat is written."""

POOL = 2
"""Cycles of a pass of a POOL besides its reads: memory, register."""

SETTLED = 2
"""Cycles from settled pipelines to the end of the layer."""


def estimate(
    steps: Sequence[Step],
    activity: Sequence[Activity | None],
    config: HardwareConfig,
    memory: ExternalMemory | None = None,
) -> Estimate:
    """Estimate one inference.

    ``steps`` is what `hw.compile.schedule.schedule` gives, ``activity`` the input of each of them
    (`hw.estimate.activity.measure` or `hw.estimate.activity.expect`), ``memory`` the external memory.
    """
    inference = _Inference(steps, config, memory or ExternalMemory())
    layers = [
        inference.layer(step, active, words)
        for step, active, words in zip(steps, activity, live_words(steps, config), strict=True)
    ]
    return Estimate(layers=layers, cycles=inference.time)


def live_words(steps: Sequence[Step], config: HardwareConfig) -> list[int]:
    """Words of spike memory that hold what is needed while each step runs."""
    sizes = {
        spikes.name: -(-map_beats(spikes, config) // config.word_beats) for step in steps for spikes in step.written
    }
    words = []
    for number in range(len(steps)):
        written = {spikes.name for step in steps[: number + 1] for spikes in step.written}
        needed = {spikes.name for step in steps[number:] for spikes in step.needed}
        words.append(sum(sizes[name] for name in written & needed))
    return words


@dataclass
class _Walk:
    """An EVENT layer on its way: the time, and what was lost so far."""

    time: float
    lost: dict[str, float] = field(default_factory=dict)

    def lose(self, what: str, cycles: float) -> None:
        """Let cycles pass without an event."""
        self.lost[what] = self.lost.get(what, 0.0) + cycles
        self.time += cycles


class _Inference:
    """The clock, the weights and the mixing unit from layer to layer."""

    def __init__(self, steps: Sequence[Step], config: HardwareConfig, memory: ExternalMemory):
        self.config = config
        # From a current to what it writes: the neuron has two stages a timestep.
        self.path = NeuronPath.write_latency + 2 * config.timesteps + (config.passes > 1)
        self.spacing = NeuronPath.state_spacing(config)
        # What is on its way at a time limits a memory that answers late.
        in_flight = config.burst_words * config.outstanding / (memory.latency + BURST)
        self.rate = min(memory.words(config.bus_bytes), in_flight)
        # The parameters of a group come in front of its rows: here they make its rows longer.
        rows = sum(group.get(Memory.WEIGHTS, 0) for step in steps for group in block_sections(step, config))
        described = section_words(Memory.DESCRIPTORS, len(steps) * descriptor_words(config), config)
        self.row_cycles = sum(block_words(step, config) for step in steps) / rows / self.rate
        self.described = described / self.rate + memory.latency + DESCRIBED
        self.weights = WeightTimeline(
            depth=config.weight_depth, row_cycles=self.row_cycles, latency=memory.latency + BURST, start=self.described
        )
        self.mixing = MixTimeline(latency=MIX, path=self.path, spacing=self.spacing)
        self.time, self.rows = self.described, 0

    def layer(self, step: Step, active: Activity | None, spike_words: int) -> LayerEstimate:
        """Let the next layer run."""
        self.time += descriptor_words(self.config) + BEGIN
        match step.kind:
            case Kind.LOAD:
                figures = self.load(step)
            case Kind.EVENT:
                figures = self.event(step, active)
            case Kind.POOL:
                figures = self.pool(step)
        kind = step.kind.name.lower()
        layer = LayerEstimate(name=step.name, kind=kind, start=self.time, spike_words=spike_words, **figures)
        self.time += layer.cycles + REPORT
        return layer

    def load(self, step: Step) -> dict:
        """Items from the input stream; a beat is written once for each of its planes."""
        image, config = step.writes, self.config
        items = image.positions * image.passes * image.channels
        whole, rest = divmod(image.channels, config.beat_channels)
        pauses = whole * max(0, image.planes - config.beat_channels) + (max(0, image.planes - rest) if rest else 0)
        return {
            "ideal": items,
            "busy": Busy(stream=items),
            "lost": Lost(drain=pauses * image.positions, fixed=LOAD + self.settle(0)),
            "traffic": Traffic(spike_writes=map_beats(image, config)),
        }

    def pool(self, step: Step) -> dict:
        """The residual stream is read once, with a cycle to end every sum; between passes the neurons' states come
        back."""
        sums = step.passes * channel_beats(step.outputs, self.config)
        reads = sums * step.tokens
        return {
            "ideal": reads,
            "busy": Busy(stream=reads),
            "lost": Lost(fixed=step.passes * POOL + sums + (step.passes - 1) * self.spacing + self.settle(self.path)),
            "traffic": Traffic(
                stream_reads=reads,
                spike_writes=map_beats(step.writes, self.config),
                external_bytes=block_words(step, self.config) * self.config.bus_bytes,
            ),
        }

    def event(self, step: Step, active: Activity) -> dict:
        """All groups of output channels, one after the other."""
        config, rows = self.config, group_rows(step, self.config)
        walk, busy = _Walk(time=self.time + FILL), Busy()
        groups = -(-step.outputs // config.lanes)
        for group in range(groups):
            beats = channel_beats(min(config.lanes, step.outputs - group * config.lanes), config)
            self.group(walk, step, active, beats, first=group == 0)
            self.weights.release(rows, walk.time)
            self.rows += rows
            busy += self.needs(step, active, beats)
        events = groups * float(active.events.sum())
        planes = step.counts.planes if step.counts else 0
        # The mask neuron goes through the keys of the last group when they are all there.
        behind = planes * beats + (beats * mask_cycles(config) if Target.KEY in step.targets else 0)
        fixed = FILL + EMPTY + _leaving(step) * beats + self.settle(self.path + behind)
        return {
            "ideal": events,
            "events": events,
            "sops": step.outputs * float(active.spikes.sum()),
            "busy": busy,
            "lost": Lost(fixed=fixed, **walk.lost),
            "traffic": self.traffic(step, active, groups),
            "weight_rows": rows,
        }

    def settle(self, queue: int) -> int:
        """Cycles from the end of a layer's source to the end of the layer, with pipelines of this length behind it."""
        return max(SETTLE + 1, queue) + SETTLED

    def group(self, walk: _Walk, step: Step, active: Activity, beats: int, *, first: bool) -> None:
        """Walk all positions for one group."""
        costs = active.cost(self.least(step, len(active.words), first=first))
        self.wait_for_weights(walk, step, float(costs[0]))
        if first and step.keys is not None:
            self.follow_mixing(walk, costs, active, beats)
        else:
            currents = beats * sum(
                step.passes * (step.reads.positions if target is step.position else step.tiles)
                for target in step.targets
            )
            cycles = float(costs.sum())
            reading, sending = (min(1.0, used / cycles) for used in (int(active.words.sum()), currents))
            # Reads and currents, each spread over the time, now and then meet.
            self.mixing.advance(cycles, share=(1 - reading) * (1 - sending))
        walk.lose("spike_memory", self.starve(costs, active))
        walk.lose("drain", float((costs - active.events).sum()))
        walk.time += float(active.events.sum())
        if step.mix is not None:
            keys = step.mix.writes
            self.mixing.add(
                visits=keys.positions * step.passes,
                passes=step.passes,
                width=keys.width,
                beats=beats,
                masks=beats * mask_cycles(self.config),
            )

    def least(self, step: Step, visits: int, *, first: bool) -> np.ndarray:
        """Fewest cycles of every visit in a group: how far its end has to be from that of the one before."""
        inside, closing = intervals(step, self.config)
        after_tile = np.arange(visits) % (step.tile_side**2 * step.reads.planes) == 0
        least = np.where(after_tile, closing, inside)
        if first:
            least[0] = 1
        return least

    def wait_for_weights(self, walk: _Walk, step: Step, cost: float) -> None:
        """The first position waits for the rows of its window, one row of the window after the other."""
        rows = group_rows(step, self.config)
        # The row above the map is left out, and so is the one below a map of one row.
        parts = {1: (1,), 3: (2, 3) if step.reads.height > 1 else (2,)}[step.kernel]
        time, waited = walk.time, 0.0
        for part in parts:
            late = self.weights.arrival(self.rows + part * rows // step.kernel) - time
            if late > 0:
                waited += late + REFILL
                time += late + REFILL
            time += cost / len(parts)
        walk.lose("external", waited)
        self.mixing.advance(waited)

    def follow_mixing(self, walk: _Walk, costs: np.ndarray, active: Activity, beats: int) -> None:
        """Positions wait until they have been mixed; meanwhile mixing goes on in the cycles that they do not use."""
        visits = zip(costs.tolist(), active.events.tolist(), active.words.tolist(), strict=True)
        timing = FollowTiming(fill=FILL, read=READ, empty=EMPTY)
        walk.lose("mixing", self.mixing.follow(visits, beats=beats, timing=timing) - float(costs.sum()))

    def starve(self, costs: np.ndarray, active: Activity) -> float:
        """Cycles without an event because silent words are read; words ahead of the emitter are a store of work."""
        channels = self.config.word_channels
        share = float(active.events.sum()) / int(active.inputs.sum())
        word_events = channels * share / (1 - (1 - share) ** channels) if 0 < share < 1 else max(1.0, channels * share)
        room, store, lost = self.config.fifo_depth * word_events, 0.0, 0.0
        for gain in (costs - active.words).tolist():
            store = min(room, store + gain)
            if store < 0:
                lost, store = lost - store, 0.0
        return lost

    def needs(self, step: Step, active: Activity, beats: int) -> Busy:
        """Cycles in which one group needs each resource."""
        return Busy(
            adders=float(active.events.sum()),
            drain=float(self.least(step, len(active.words), first=False).sum()),
            spike_memory=int(active.words.sum()),
            external=group_rows(step, self.config) * self.row_cycles,
        )

    def traffic(self, step: Step, active: Activity, groups: int) -> Traffic:
        """Accesses of all groups."""
        config = self.config
        beats = channel_beats(step.outputs, config)
        places = step.reads.positions if step.position in STREAM_TARGETS else step.tiles
        stream = step.passes * places * beats if step.targets & STREAM_TARGETS else 0
        mixed = map_beats(step.mix.writes, config) if step.mix else 0
        written = [spikes for spikes in (step.writes, step.counts) if spikes]
        return Traffic(
            spike_reads=groups * int(active.words.sum()),
            spike_writes=sum(map_beats(spikes, config) for spikes in written),
            stream_reads=0 if Target.STREAM_OPEN in step.targets else stream,
            stream_writes=stream,
            weight_fetches=step.outputs * float(active.events.sum()),
            external_bytes=block_words(step, config) * config.bus_bytes,
            mix_reads=mixed,
            mix_writes=mixed,
        )


def block_words(step: Step, config: HardwareConfig) -> int:
    """Bus words of all blocks of a step."""
    sections = block_sections(step, config)
    return sum(section_words(memory, count, config) for group in sections for memory, count in group.items())


def _leaving(step: Step) -> int:
    """How many times the beats of a group leave for the neurons at the end of a tile."""
    return len(step.targets)
