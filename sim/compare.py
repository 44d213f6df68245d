"""The comparison of what the hardware did with what it must do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hw.counters import Counter
from hw.lowering import Lowered
from hw.program import Kind
from sim.expected import PORTS, Beats, Expected


@dataclass(frozen=True, kw_only=True)
class PortRecords:
    """What a trace port carried: layer numbers [K], beat addresses [K], values [K, P, T]."""

    layers: np.ndarray
    addresses: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, kw_only=True)
class HardwareRun:
    """What the hardware did with one image: the records of every port of `PORTS`, and the counters as they came,
    int64 [K, 3] with layer, counter and value; ``cycles`` from the start to the end."""

    ports: Mapping[str, PortRecords]
    counters: np.ndarray
    cycles: int

    def counter(self, layer: int, counter: Counter) -> int:
        """The value of a counter of a layer, 0 if it was not reported."""
        chosen = (self.counters[:, 0] == layer) & (self.counters[:, 1] == counter)
        return int(self.counters[chosen, 2].sum())


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """How one layer differs from the golden model in one respect, by the first difference.

    ``place`` says where: position (y, x), timestep and channel of a value; ``count`` is the number of differences.
    """

    layer: str
    what: str
    place: str
    expected: str
    got: str
    count: int

    def __str__(self) -> str:
        place = f" at {self.place}" if self.place else ""
        return f"{self.layer}: {self.what}{place}: expected {self.expected}, got {self.got} ({self.count} in all)"


def compare(lowered: Lowered, expected: Sequence[Expected], run: HardwareRun) -> list[Mismatch]:
    """Every difference between the traces and counters of a run and what they must be, in the order of the layers."""
    mismatches = []
    for number, (layer, wanted) in enumerate(zip(lowered.layers, expected, strict=True)):
        for port in PORTS:
            mismatches += _compare_port(layer.step.name, port, number, wanted.beats.get(port), run.ports[port])
        mismatches += _compare_counters(layer.step.name, layer.step.kind, number, wanted, run)
    return mismatches + _unknown_layers(lowered, run)


def _compare_port(layer: str, port: str, number: int, beats: Beats | None, records: PortRecords) -> list[Mismatch]:
    chosen = records.layers == number
    addresses, values = records.addresses[chosen], records.values[chosen]
    if beats is None:
        beats = Beats(values=np.zeros((0, 1, 1, 1, *values.shape[1:]), int), steps=0)
    found = [_compare_values(layer, port, beats, addresses, values), _compare_addresses(layer, port, beats, addresses)]
    return [mismatch for mismatch in found if mismatch is not None]


def _compare_values(layer: str, port: str, beats: Beats, addresses: np.ndarray, values: np.ndarray) -> Mismatch | None:
    """The first value that differs, by position, timestep and channel, in beats that exist."""
    wanted = beats.values.reshape(-1, *beats.values.shape[4:])
    index = addresses - beats.base
    known = (index >= 0) & (index < len(wanted))
    index, got = index[known], values[known]
    differs = wanted[index, :, : beats.steps] != got[:, :, : beats.steps]
    if not differs.any():
        return None
    record, lane, step = np.nonzero(differs)
    plane, y, x, beat = np.unravel_index(index[record], beats.values.shape[:4])
    channel = beat * beats.values.shape[4] + lane
    first = np.lexsort((channel, step, x, y, plane))[0]
    planes = f"plane {plane[first]}, " if beats.values.shape[0] > 1 else ""
    return Mismatch(
        layer=layer,
        what=port,
        place=f"{planes}position ({y[first]}, {x[first]}), timestep {step[first]}, channel {channel[first]}",
        expected=str(wanted[index[record[first]], lane[first], step[first]]),
        got=str(got[record[first], lane[first], step[first]]),
        count=len(record),
    )


def _compare_addresses(layer: str, port: str, beats: Beats, addresses: np.ndarray) -> Mismatch | None:
    """The first beat that is not written exactly once, or should not be written at all."""
    count = int(np.prod(beats.values.shape[:4]))
    written, times = np.unique(addresses, return_counts=True)
    wanted = np.arange(beats.base, beats.base + count)
    every = np.union1d(written, wanted)
    is_written = np.zeros(len(every), int)
    is_written[np.searchsorted(every, written)] = times
    should = np.isin(every, wanted).astype(int)
    wrong = np.nonzero(is_written != should)[0]
    if not len(wrong):
        return None
    address = every[wrong[0]]
    return Mismatch(
        layer=layer,
        what=f"{port} writes",
        place=_beat_place(beats, int(address)) if should[wrong[0]] else f"beat address {address}",
        expected=str(should[wrong[0]]),
        got=str(is_written[wrong[0]]),
        count=len(wrong),
    )


def _beat_place(beats: Beats, address: int) -> str:
    plane, y, x, beat = np.unravel_index(address - beats.base, beats.values.shape[:4])
    planes = f"plane {plane}, " if beats.values.shape[0] > 1 else ""
    return f"{planes}position ({y}, {x}), channel beat {beat}"


def _compare_counters(layer: str, kind: Kind, number: int, wanted: Expected, run: HardwareRun) -> list[Mismatch]:
    reported = run.counters[run.counters[:, 0] == number, 1]
    found = []
    for counter in Counter:
        what = f"counter {counter.name}"
        times = int((reported == counter).sum())
        if times != 1:
            found.append(_difference(layer, f"reports of {what}", 1, times))
        elif counter in wanted.counters:
            found.append(_difference(layer, what, wanted.counters[counter], run.counter(number, counter)))
    if kind is Kind.EVENT:
        parts = (Counter.EVENTS, Counter.NULLS, Counter.STALLED, Counter.IDLE)
        total = sum(run.counter(number, part) for part in parts)
        found.append(
            _difference(layer, "counter CYCLES, the sum of its parts", total, run.counter(number, Counter.CYCLES))
        )
    return [mismatch for mismatch in found if mismatch is not None]


def _difference(layer: str, what: str, expected: int, got: int) -> Mismatch | None:
    if expected == got:
        return None
    return Mismatch(layer=layer, what=what, place="", expected=str(expected), got=str(got), count=1)


def _unknown_layers(lowered: Lowered, run: HardwareRun) -> list[Mismatch]:
    """Records and counters of layers that the program does not have."""
    found = []
    sources = {port: records.layers for port, records in run.ports.items()} | {"counter": run.counters[:, 0]}
    for port, layers in sources.items():
        unknown = layers[layers >= len(lowered.layers)]
        if len(unknown):
            found.append(
                Mismatch(
                    layer=f"layer {unknown[0]}",
                    what=f"{port} records",
                    place="",
                    expected="no such layer",
                    got=f"{len(unknown)} records",
                    count=len(unknown),
                )
            )
    return found
