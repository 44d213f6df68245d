"""The comparison of what the hardware did with what it must do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hw.compile.lowering import Lowered
from hw.counters import Counter
from hw.program import Kind
from sim.expected import Beats, Expected

IMAGE = "program image"
"""What a difference in the words from external memory is called."""


@dataclass(frozen=True, kw_only=True)
class PortRecords:
    """What a trace port carried: layer numbers [K], beat addresses [K], values [K, P, T]."""

    layers: np.ndarray
    addresses: np.ndarray
    values: np.ndarray


@dataclass(frozen=True, kw_only=True)
class HardwareRun:
    """What the hardware did with one image.

    Members
    -------
    ports : the records of every port that could be watched: of `sim.expected.PORTS` in a simulation of the
        accelerator, of the logits alone on a board
    counters : as they came, int64 [K, 3] with layer, counter and value
    cycles : from the start to the end
    """

    ports: Mapping[str, PortRecords]
    counters: np.ndarray
    cycles: int

    def counter(self, layer: int, counter: Counter) -> int:
        """The value of a counter of a layer, 0 if it was not reported."""
        chosen = (self.counters[:, 0] == layer) & (self.counters[:, 1] == counter)
        return int(self.counters[chosen, 2].sum())

    def total(self, counter: Counter) -> int:
        """The sum of a counter over the layers."""
        return int(self.counters[self.counters[:, 1] == counter, 2].sum())


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
        for port, records in run.ports.items():
            mismatches += _compare_port(layer.step.name, port, number, wanted.beats.get(port, ()), records)
        mismatches += _compare_counters(layer.step.name, layer.step.kind, number, wanted, run)
    words = lowered.program.size // lowered.config.bus_bytes
    fetched = _difference(IMAGE, "sum of counter BUS_WORDS", words, run.total(Counter.BUS_WORDS))
    return mismatches + ([fetched] if fetched else []) + _unknown_layers(lowered, run)


class _Places:
    """All beats that a layer writes to a port, part after part: their addresses, values, and what is known of them."""

    def __init__(self, parts: Sequence[Beats], shape: tuple[int, ...]):
        self.parts = parts
        self.addresses = np.concatenate([np.zeros(0, int), *(part.addresses.ravel() for part in parts)])
        self.values = np.concatenate([np.zeros((0, *shape), int), *(part.values.reshape(-1, *shape) for part in parts)])
        self.known = np.concatenate([np.zeros((0, shape[-1]), bool), *(_known(part) for part in parts)])
        self._order = np.argsort(self.addresses)

    def find(self, addresses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of the addresses are those of a beat, and these beats."""
        order = np.searchsorted(self.addresses, addresses, sorter=self._order)
        beats = np.append(self._order, 0)[order]
        exists = np.append(self.addresses, 0)[beats] == addresses if len(self.addresses) else np.zeros(len(beats), bool)
        return exists, beats[exists]

    def coordinates(self, beats: np.ndarray) -> np.ndarray:
        """Part, plane, pass, row, column and channel beat of some beats, int64 [6, beats]."""
        starts = np.cumsum([0, *(part.addresses.size for part in self.parts)])
        number = np.searchsorted(starts, beats, side="right") - 1
        result = np.stack([number, *np.zeros((5, len(beats)), int)])
        for index, part in enumerate(self.parts):
            chosen = number == index
            result[1:, chosen] = np.unravel_index(beats[chosen] - starts[index], part.addresses.shape)
        return result


def _known(part: Beats) -> np.ndarray:
    """The timesteps of every beat that are of account, bool [beats, T]."""
    grid = np.broadcast_to(part.known[:, None, None, None], (*part.addresses.shape, part.known.shape[1]))
    return grid.reshape(-1, part.known.shape[1])


def _compare_port(layer: str, port: str, number: int, parts: Sequence[Beats], records: PortRecords) -> list[Mismatch]:
    chosen = records.layers == number
    addresses, values = records.addresses[chosen], records.values[chosen]
    places = _Places(parts, values.shape[1:])
    found = [
        _compare_values(layer, port, places, addresses, values),
        _compare_addresses(layer, port, places, addresses),
    ]
    return [mismatch for mismatch in found if mismatch is not None]


def _compare_values(
    layer: str, port: str, places: _Places, addresses: np.ndarray, values: np.ndarray
) -> Mismatch | None:
    """The first value that differs, by map, plane, position, timestep and channel, in beats that exist."""
    exists, beats = places.find(addresses)
    got = values[exists]
    record, lane, step = np.nonzero((places.values[beats] != got) & places.known[beats][:, None])
    if not len(record):
        return None
    part, plane, turn, y, x, beat = places.coordinates(beats[record])
    channel, time = beat * got.shape[1] + lane, turn * got.shape[2] + step
    first = np.lexsort((channel, time, x, y, plane, part))[0]
    return Mismatch(
        layer=layer,
        what=_what(port, places.parts[part[first]]),
        place=f"{_plane(places.parts[part[first]], plane[first])}position ({y[first]}, {x[first]}), "
        f"timestep {time[first]}, channel {channel[first]}",
        expected=str(places.values[beats[record[first]], lane[first], step[first]]),
        got=str(got[record[first], lane[first], step[first]]),
        count=len(record),
    )


def _compare_addresses(layer: str, port: str, places: _Places, addresses: np.ndarray) -> Mismatch | None:
    """The first beat that is not written exactly once, or should not be written at all."""
    # Sorting is much faster than finding out which, and what should be so is nearly always so.
    if np.array_equal(np.sort(addresses), np.sort(places.addresses)):
        return None
    written, times = np.unique(addresses, return_counts=True)
    every = np.union1d(written, places.addresses)
    is_written = np.zeros(len(every), int)
    is_written[np.searchsorted(every, written)] = times
    should = np.isin(every, places.addresses).astype(int)
    wrong = np.nonzero(is_written != should)[0]
    address = every[wrong[0]]
    return Mismatch(
        layer=layer,
        what=f"{port} writes",
        place=_beat_place(places, address) if should[wrong[0]] else f"beat address {address}",
        expected=str(should[wrong[0]]),
        got=str(is_written[wrong[0]]),
        count=len(wrong),
    )


def _beat_place(places: _Places, address: int) -> str:
    part, plane, turn, y, x, beat = places.coordinates(places.find(np.array([address]))[1])[:, 0]
    map_ = places.parts[part]
    in_pass = f"pass {turn}, " if map_.addresses.shape[1] > 1 else ""
    return f"{map_.name}, {_plane(map_, plane)}{in_pass}position ({y}, {x}), channel beat {beat}"


def _what(port: str, part: Beats) -> str:
    """What differs: the port, or the counts that leave on the port of the spikes."""
    return "counts of spikes" if part.name.endswith(".counts") else port


def _plane(part: Beats, plane: int) -> str:
    return f"plane {plane}, " if part.addresses.shape[0] > 1 else ""


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
    for counter, value in wanted.shared.items():
        together = run.counter(number, counter) + run.counter(number + 1, counter)
        found.append(_difference(layer, f"counter {counter.name} of this layer and the next", value, together))
    if kind is Kind.EVENT:
        parts = (Counter.EVENTS, Counter.NULLS, Counter.STALLED, Counter.IDLE)
        total = sum(run.counter(number, part) for part in parts)
        found.append(
            _difference(layer, "counter CYCLES, the sum of its parts", total, run.counter(number, Counter.CYCLES))
        )
        if run.counter(number, Counter.WAITING) > run.counter(number, Counter.IDLE):
            found.append(
                _difference(
                    layer,
                    "counter WAITING, a part of IDLE",
                    run.counter(number, Counter.IDLE),
                    run.counter(number, Counter.WAITING),
                )
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
