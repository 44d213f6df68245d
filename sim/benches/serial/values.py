"""Random sums of a layer, and what becomes of them by the integer model."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch

from golden.config import Reset
from golden.integer import STREAM_LIMITS
from golden.neurons.exact import lif
from hw.serial.config import PLANES, SerialConfig
from hw.serial.program import LEAST_CHANNELS, TARGET, Fold, Mode
from sim.benches.serial.layers import Place, places, random_grid, targets
from sim.serial_addresses import map_address, stream_address

KINDS = (
    {"position": targets(fire=1)},
    {"position": targets(fire=1, write=1)},
    {"position": targets(fire=1, write=1, add=1)},
    {"position": targets(write=1, add=1)},
    {"position": targets(logits=1)},
    {"fold": Fold.MAX, "tile": targets(fire=1)},
    {"fold": Fold.MAX, "tile": targets(fire=1, write=1)},
    {"fold": Fold.SUM, "tile": targets(fire=1)},
    {"fold": Fold.SUM, "tile": targets(fire=1), "position": targets(fire=1), "both": 1},
    {"fold": Fold.BITS, "tile": targets(fire=1)},
    {"fold": Fold.SUM, "tile": targets(fire=1), "mode": Mode.POOL},
)
"""Where currents can go."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer: parameters int32 [sets, channels], sums int32 [places, channels], and what the stream holds before."""

    fields: Mapping[str, int]
    group: int
    bias: torch.Tensor
    threshold: torch.Tensor
    shift: torch.Tensor
    sums: torch.Tensor
    stream: Mapping[int, int]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What leaves: spikes and stream by address, logits by class and step, each in order."""

    spikes: list[tuple[int, int]] = field(default_factory=list)
    written: list[tuple[int, int]] = field(default_factory=list)
    logits: list[tuple[int, int, int]] = field(default_factory=list)
    clamped: list[bool] = field(default_factory=list, compare=False)


def random_layer(config: SerialConfig, rng: random.Random, kind: Mapping[str, int]) -> Layer:
    """A layer of a kind with random sizes and numbers, corners among them."""
    fold = kind.get("fold", Fold.NONE)
    fields = {"mode": Mode.DENSE} | random_grid(rng, config) | kind
    if fold in (Fold.NONE, Fold.BITS):
        fields["tile_mask"] = 0
    if fold == Fold.BITS:
        fields["last_step"] = PLANES - 1
    last_group, last_channel = rng.randrange(config.stream_words), rng.randint(LEAST_CHANNELS, config.lanes) - 1
    group = rng.randint(0, last_group)
    channels = last_channel + 1 if group == last_group else config.lanes
    fields |= {"last_group": last_group, "last_channel": last_channel, "small_output": 1, "small_tiles": 1}
    fields |= {"output": rng.randrange(config.maps), "tiles": rng.randrange(config.maps)}
    generated = torch.Generator().manual_seed(rng.getrandbits(32))

    def numbers(low: int, high: int, rows: int) -> torch.Tensor:
        return torch.randint(low, high, (rows, channels), generator=generated, dtype=torch.int32)

    # Bit-planes add up to 255 times a sum, tiles to as many as they have positions.
    limit = rng.choice((40, 2000, 1 << config.acc_bits - 1))
    span = limit if fold != Fold.BITS else min(limit, 1 << config.current_bits - 11)
    sets = 1 + fields.get("both", 0)
    return Layer(
        fields=fields,
        group=group,
        bias=numbers(-limit, limit, sets),
        threshold=numbers(-limit // 2, limit, sets),
        shift=numbers(0, 4, sets),
        sums=numbers(-span, span, len(list(places(fields)))),
        stream={at: rng.choice((rng.randint(-300, 300), *STREAM_LIMITS)) for at in range(config.stream_depth)},
    )


def expect(config: SerialConfig, layer: Layer) -> Expected:
    """What leaves for a layer."""
    return _Model(config, layer).run()


class _Model:
    """Goes through a layer tile by tile."""

    def __init__(self, config: SerialConfig, layer: Layer):
        self.config, self.layer = config, layer
        self.fold = layer.fields.get("fold", Fold.NONE)
        self.steps = layer.fields["last_tile_step"] + 1
        self.found = Expected()

    def run(self) -> Expected:
        """All tiles."""
        for number, tile in enumerate(self.tiles()):
            sums = torch.stack([values for _, values in tile])  # [positions, steps, channels]
            for place, values in tile:
                self.deliver("position", values, place.row, place.column)
            if self.fold is not Fold.NONE:
                across = (self.layer.fields["last"] + 1) // (self.layer.fields["tile_mask"] + 1)
                self.deliver("tile", self.folded(sums), *divmod(number, across))
        return self.found

    def tiles(self) -> Iterator[list[tuple[Place, torch.Tensor]]]:
        """The positions of every tile with their sums [steps, channels]."""
        steps, side = self.layer.fields["last_step"] + 1, self.layer.fields["tile_mask"] + 1
        order = list(places(self.layer.fields))
        sums = self.pooled(order) if self.layer.fields["mode"] == Mode.POOL else self.layer.sums
        positions = list(zip(order[::steps], sums.split(steps), strict=True))
        for start in range(0, len(positions), side * side):
            yield positions[start : start + side * side]

    def pooled(self, order: list[Place]) -> torch.Tensor:
        """What the stream holds, in place of sums."""
        channels = range(self.layer.sums.shape[1])
        at = [[self.stream_place(place.row, place.column, place.step, c) for c in channels] for place in order]
        return torch.tensor([[self.layer.stream[where] for where in row] for row in at], dtype=torch.int32)

    def folded(self, sums: torch.Tensor) -> torch.Tensor:
        """The sums [positions, steps, channels] of a tile as one, for every timestep."""
        if self.fold == Fold.MAX:
            return sums.amax(dim=0)
        if self.fold == Fold.SUM:
            return sums.sum(dim=0, dtype=torch.int32)
        weights = 2 ** torch.arange(PLANES - 1, -1, -1, dtype=torch.int32)[:, None]
        return (weights * sums[0]).sum(dim=0, dtype=torch.int32).expand(self.steps, -1)

    def stream_place(self, row: int, column: int, step: int, channel: int) -> int:
        """Where a value of the group lies in the stream."""
        channel += self.layer.group * self.config.lanes
        return stream_address(self.config, step=step, row=row, column=column, channel=channel)

    def deliver(self, which: str, sums: torch.Tensor, row: int, column: int) -> None:
        """Take the sums [steps, channels] of a position or a tile to where they belong."""
        layer, fields = self.layer, self.layer.fields
        target = TARGET.from_bits(fields.get(which, 0))
        number = 1 if which == "tile" and fields.get("both", 0) else 0
        current = sums + layer.bias[number]
        if target.logits:
            first = layer.group * self.config.lanes
            for step, values in enumerate(current.tolist()):
                self.found.logits.extend((first + channel, step, value) for channel, value in enumerate(values))
        if target.write:
            current = self.write(current, layer.shift[number], row, column, adds=bool(target.add))
        if target.fire:
            fired = lif(current, layer.threshold[number], reset=Reset.HARD).tolist()
            slot = fields["tiles" if which == "tile" else "output"]
            place = {"slot": slot, "small": 1, "row": row, "column": column, "word": layer.group}
            words = (sum(spike << channel for channel, spike in enumerate(spikes)) for spikes in fired)
            self.found.spikes.extend((map_address(self.config, step=s, **place), word) for s, word in enumerate(words))

    def write(self, current: torch.Tensor, shift: torch.Tensor, row: int, column: int, *, adds: bool) -> torch.Tensor:
        """Write shifted currents [steps, channels] to the stream; return what the neurons see."""
        steps, channels = current.shape
        where = [[self.stream_place(row, column, step, c) for c in range(channels)] for step in range(steps)]
        before = torch.tensor([[self.layer.stream[at] for at in line] for line in where], dtype=torch.int32)
        exact = (before if adds else 0) + (current << shift)
        stream = exact.clamp(*STREAM_LIMITS)
        self.found.clamped.extend((stream != exact).flatten().tolist())
        for line, values in zip(where, stream.tolist(), strict=True):
            self.found.written.extend(zip(line, values, strict=True))
        return stream if adds else current
