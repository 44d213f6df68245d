"""EVENT layers as the benches see them: the geometry by definition, and the descriptor that asks for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from hw.beats import current_layout
from hw.config import HardwareConfig
from hw.engine.drain import RECALL_GAP
from hw.engine.engine import MIN_INTERVAL
from hw.program import DESCRIPTOR, DESCRIPTOR_LAYOUT, LEVELS, Fold, Kind, Target, pack_fields
from sim.streams import pack


def steps(last: Sequence[int], strides: Sequence[int]) -> list[int]:
    """What an address gains when each loop advances and those inside it start again; outermost loop first."""
    back, found = 0, []
    for iterations, stride in zip(reversed(last), reversed(strides), strict=True):
        found.append(stride - back)
        back += iterations * stride
    return found[::-1]


@dataclass(frozen=True, kw_only=True)
class EventLayer:
    """A layer over a map of ``planes`` times ``passes`` times ``height`` times ``width`` positions, in tiles of
    ``side`` squared; with ``shared`` all passes read the same map. ``spacing`` is that of the neurons behind."""

    config: HardwareConfig
    height: int
    width: int
    channels: int
    outputs: int
    kernel: int = 1
    side: int = 1
    planes: int = 1
    passes: int = 1
    shared: bool = False
    fold: Fold = Fold.NONE
    position: Target = Target.NONE
    tile: Target = Target.NONE
    counted: bool = False
    input_base: int = 0
    weight_base: int = 0
    position_params: int = 0
    tile_params: int = 0
    spacing: int = 0

    @property
    def pixel_beats(self) -> int:
        return -(-self.channels // self.config.beat_channels)

    @property
    def output_beats(self) -> int:
        return -(-self.outputs // self.config.beat_channels)

    @property
    def groups(self) -> int:
        return -(-self.outputs // self.config.lanes)

    @property
    def positions(self) -> int:
        """Positions of one plane and pass."""
        return self.height * self.width

    @property
    def tiles(self) -> int:
        """Tiles of one pass."""
        return self.positions // self.side**2

    @property
    def subs(self) -> int:
        """Positions of a tile in one pass."""
        return self.side**2 * self.planes

    @property
    def group_rows(self) -> int:
        """Weight rows of one group of output channels."""
        return self.kernel**2 * self.pixel_beats * self.config.beat_channels

    @property
    def interval(self) -> int:
        """The fewest cycles from the end of a position inside its tile to that of the next."""
        return max(MIN_INTERVAL, self.spacing if self.passes > 1 else 0, self._group_beats)

    @property
    def closing_interval(self) -> int:
        """The fewest cycles from the end of the last position of a tile to that of the next."""
        more = bool(self.position and self.tile) + (self.side**2).bit_length() * self.counted
        return max(self.interval, (1 + more) * self._group_beats + RECALL_GAP * bool(more))

    @property
    def _group_beats(self) -> int:
        return min(self.config.group_beats, self.output_beats)

    def waits(self) -> list[int]:
        """The fewest cycles from the end of every position of a group to that of the next."""
        return [self.closing_interval if place["close"] else self.interval for place in self.places(0)]

    def beats(self, group: int) -> range:
        """Channel beats of a group."""
        first = group * self.config.group_beats
        return range(first, min(first + self.config.group_beats, self.output_beats))

    def walk(self) -> Iterator[tuple[int, int, int, int]]:
        """Pass, row, column and plane of every position of a group, in the order of execution."""
        tiles = (self.height // self.side, self.width // self.side)
        counts = (*tiles, self.passes, self.side, self.side, self.planes)
        for row, column, turn, y, x, plane in product(*map(range, counts)):
            yield turn, row * self.side + y, column * self.side + x, plane

    def places(self, group: int) -> Iterator[dict[str, int]]:
        """Where every position of a group belongs: the fields of `hw.beats.route_fields` for its first beat."""
        channel = group * self.config.group_beats
        for number, (turn, y, x, _) in enumerate(self.walk()):
            tile, sub = divmod(number, self.passes * self.subs)
            yield {
                "address": (turn * self.positions + y * self.width + x) * self.output_beats + channel,
                "channel": channel,
                "first": int(tile == 0),
                "last": int(tile == self.tiles - 1),
                "pass_number": turn,
                "state": sub % self.subs * self.config.group_beats,
                "open": int(sub % self.subs == 0),
                "close": int(sub % self.subs == self.subs - 1),
                "tile": (turn * self.tiles + tile) * self.output_beats + channel,
                "beat": 0,
            }

    def routes(self) -> Iterator[tuple[Target, dict[str, int]]]:
        """Target and route of every current that leaves, in order."""
        names = ("address", "channel", "tile", "beat", "state")
        for group in range(self.groups):
            beats = range(len(self.beats(group)))
            for place in self.places(group):
                moved = [place | {name: place[name] + beat for name in names} for beat in beats]
                if self.position:
                    yield from ((self.position, route) for route in moved)
                if self.tile and place["close"]:
                    behind = self.config.group_beats
                    for route in moved:
                        yield self.tile, route | {"address": route["tile"], "state": route["state"] + behind}

    def records(self, positions: torch.Tensor, tiles: torch.Tensor) -> list[int]:
        """Payload of every current that leaves, in order.

        ``positions`` and ``tiles`` are the currents, [passes * timesteps, outputs, rows, columns].
        """
        layout = dict(current_layout(self.config))
        currents = {False: self._by_beat(positions), True: self._by_beat(tiles)}
        records = []
        for target, route in self.routes():
            of_tile = target is self.tile
            params = self.tile_params if of_tile else self.position_params
            # Where there are two kinds of parameters, those of a group take twice its beats.
            skipped = route["channel"] - route["beat"] if self.position and self.tile else 0
            fields = {"target": target, "params": params + skipped + route["channel"]} | route
            others = sum(int(value) % 2 ** layout[name].width << layout[name].offset for name, value in fields.items())
            values = pack(currents[of_tile][route["address"]], self.config.current_bits)
            records.append(others | values << layout["currents"].offset)
        return records

    def _by_beat(self, currents: torch.Tensor) -> np.ndarray:
        """Currents as [passes * positions * beats, channels * timesteps], zeros where there is no channel."""
        channels, steps = self.config.beat_channels, self.config.timesteps
        padded = np.zeros((self.passes, currents[0, 0].numel(), self.output_beats * channels, steps), np.int64)
        by_pass = currents.flatten(2).unflatten(0, (self.passes, steps)).permute(0, 3, 2, 1)
        padded[:, :, : self.outputs] = by_pass.numpy()
        return padded.reshape(-1, channels * steps)

    def taps(self, y: int, x: int) -> list[tuple[int, int, int]]:
        """Number, row and column of the inputs in the window of a position that lie in the map."""
        reach = self.kernel // 2
        window = enumerate(product(range(y - reach, y + reach + 1), range(x - reach, x + reach + 1)))
        return [
            (tap, *place) for tap, place in window if place[0] in range(self.height) and place[1] in range(self.width)
        ]

    def input_beats(self, turn: int, y: int, x: int, plane: int) -> list[tuple[int, int]]:
        """Address and first weight row (in the first group) of every beat in the window of a position."""
        layer = plane if self.shared else plane * self.passes + turn
        return [
            (
                self.input_base + ((layer * self.height + row) * self.width + column) * self.pixel_beats + beat,
                self.weight_base + (tap * self.pixel_beats + beat) * self.config.beat_channels,
            )
            for tap, row, column in self.taps(y, x)
            for beat in range(self.pixel_beats)
        ]

    def fields(self) -> dict[str, int]:
        """The fields of the descriptor that are not zero."""
        tiles = (self.height // self.side, self.width // self.side)
        last = [count - 1 for count in (*tiles, self.passes, self.side, self.side, self.planes)]
        last_channels = self.outputs - (self.groups - 1) * self.config.lanes
        tile_pass = self.tiles * self.output_beats
        return {
            "kind": Kind.EVENT,
            "fold": self.fold,
            "kernel3": int(self.kernel == 3),
            "position_target": self.position,
            "tile_target": self.tile,
            "step_mask": 2**self.config.timesteps - 1,
            "last_group": self.groups - 1,
            "last_beats": -(-last_channels // self.config.beat_channels),
            "group_channels": self.config.lanes,
            "last_channels": last_channels,
            **{f"last_{level}": value for level, value in zip(LEVELS, last, strict=True)},
            "input_base": self.input_base,
            **self._steps("input", last, self.pixel_beats, shared=self.shared),
            "interval": self.interval,
            "closing_interval": self.closing_interval,
            "pixel_beats": self.pixel_beats,
            "row_beats": self.width * self.pixel_beats,
            "weight_base": self.weight_base,
            "weight_rows": self.group_rows,
            "output_beats": self.output_beats,
            **self._steps("output", last, self.output_beats, planes=False),
            "tile_pass": tile_pass,
            "tile_next": self.output_beats - (self.passes - 1) * tile_pass,
            "counted": int(self.counted),
            "position_params": self.position_params,
            "tile_params": self.tile_params,
        }

    def descriptor(self) -> int:
        """The packed descriptor."""
        return pack_fields(DESCRIPTOR_LAYOUT, dict.fromkeys(DESCRIPTOR, 0) | self.fields())

    def _steps(
        self, prefix: str, last: Sequence[int], beats: int, *, shared: bool = False, planes: bool = True
    ) -> dict[str, int]:
        """Steps of an address over raster maps with ``beats`` beats a position."""
        row, size = self.width * beats, self.positions * beats
        turn, plane = 0 if shared else size, size * (1 if shared else self.passes) * planes
        strides = (self.side * row, self.side * beats, turn, row, beats, plane)
        return {f"{prefix}_{level}": step for level, step in zip(LEVELS, steps(last, strides), strict=True)}
