"""What the analytic model says of a layer and of an inference."""

from collections.abc import Sequence
from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Busy:
    """Cycles in which a layer needs each resource, if nothing else were in its way.

    Members
    -------
    adders : one event a cycle, which is also one row of weights a cycle from the buffer
    drain : beats of currents through fold and neurons, one a cycle
    spike_memory : words read, one a cycle
    external : rows of weights from external memory
    stream : items taken from the input stream, or beats of the residual stream summed
    """

    adders: float = 0
    drain: float = 0
    spike_memory: float = 0
    external: float = 0
    stream: float = 0

    @property
    def limit(self) -> str:
        """The resource that is needed longest."""
        return max(fields(self), key=lambda item: getattr(self, item.name)).name

    def __add__(self, other: "Busy") -> "Busy":
        return Busy(**{item.name: getattr(self, item.name) + getattr(other, item.name) for item in fields(self)})


@dataclass(frozen=True, kw_only=True)
class Lost:
    """Cycles of a layer in which no event (item, read) is taken, by the reason.

    Members
    -------
    drain : positions with fewer events than the interval of the drain; empty ones
    spike_memory : words without spikes are read, and none with spikes is ready
    external : weights have not arrived
    mixing : positions have not been mixed
    fixed : pipelines fill and empty
    """

    drain: float = 0
    spike_memory: float = 0
    external: float = 0
    mixing: float = 0
    fixed: float = 0

    @property
    def total(self) -> float:
        """All of them."""
        return sum(getattr(self, item.name) for item in fields(self))


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Accesses of a layer: words read from spike memory and beats written to it, beats of the residual stream, weights
    taken from the buffer, bytes from external memory, beats of keys read and mixed."""

    spike_reads: int = 0
    spike_writes: int = 0
    stream_reads: int = 0
    stream_writes: int = 0
    weight_fetches: float = 0
    external_bytes: int = 0
    mix_reads: int = 0
    mix_writes: int = 0


@dataclass(frozen=True, kw_only=True)
class LayerEstimate:
    """One layer of the program.

    Members
    -------
    name, kind : of the layer
    start, cycles : its first cycle in the inference, and what the counter `CYCLES` says at its end
    ideal : events times groups, items of a LOAD, reads of a POOL
    events : taken by the lanes, once for each group
    sops : accumulates, without those of the mixing unit
    busy, lost, traffic : see there; ``cycles`` is ``ideal`` and what is lost
    spike_words : words of spike memory that hold what is needed while the layer runs
    weight_rows : rows of a group of output channels in the weight buffer
    """

    name: str
    kind: str
    start: float
    ideal: float
    events: float = 0
    sops: float = 0
    busy: Busy
    lost: Lost
    traffic: Traffic
    spike_words: int = 0
    weight_rows: int = 0

    @property
    def cycles(self) -> float:
        """Cycles of the layer."""
        return self.ideal + self.lost.total

    @property
    def limit(self) -> str:
        """The resource that is needed longest, or ``fixed`` where latencies are longer."""
        needed = max(vars(self.busy).values())
        return "fixed" if self.lost.fixed > needed else self.busy.limit


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A whole inference: its layers, and the cycles from ``start`` to ``done``."""

    layers: Sequence[LayerEstimate]
    cycles: float

    @property
    def ideal(self) -> float:
        """Ideal cycles of all layers."""
        return sum(layer.ideal for layer in self.layers)

    @property
    def sops(self) -> float:
        """Accumulates of all layers, without those of the mixing unit."""
        return sum(layer.sops for layer in self.layers)

    @property
    def external_bytes(self) -> int:
        """Bytes from external memory."""
        return sum(layer.traffic.external_bytes for layer in self.layers)

    @property
    def limit(self) -> str:
        """The resource that the inference needs longest."""
        return sum((layer.busy for layer in self.layers), Busy()).limit
