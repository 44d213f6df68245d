"""EVENT layers as the benches see them: the geometry by definition, and the descriptor that asks for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from hw.config import HardwareConfig
from hw.program import DESCRIPTOR, DESCRIPTOR_LAYOUT, LEVELS, Fold, Kind, Target, pack_fields


def steps(last: Sequence[int], strides: Sequence[int]) -> list[int]:
    """What an address gains when each loop advances and those inside it start again; outermost loop first."""
    back, found = 0, []
    for iterations, stride in zip(reversed(last), reversed(strides), strict=True):
        found.append(stride - back)
        back += iterations * stride
    return found[::-1]


@dataclass(frozen=True, kw_only=True)
class EventLayer:
    """A layer over a map of ``planes`` times ``height`` times ``width`` positions, in tiles of ``side`` squared."""

    config: HardwareConfig
    height: int
    width: int
    channels: int
    outputs: int
    kernel: int = 1
    side: int = 1
    planes: int = 1
    fold: Fold = Fold.NONE
    position: Target = Target.NONE
    tile: Target = Target.NONE
    input_base: int = 0
    weight_base: int = 0
    position_params: int = 0
    tile_params: int = 0

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
    def group_rows(self) -> int:
        """Weight rows of one group of output channels."""
        return self.kernel**2 * self.pixel_beats * self.config.beat_channels

    def walk(self) -> Iterator[tuple[int, int, int]]:
        """Row, column and plane of every position, in the order of execution."""
        tiles = (self.height // self.side, self.width // self.side)
        for row, column, y, x, plane in product(*map(range, (*tiles, self.side, self.side, self.planes))):
            yield row * self.side + y, column * self.side + x, plane

    def taps(self, y: int, x: int) -> list[tuple[int, int, int]]:
        """Number, row and column of the inputs in the window of a position that lie in the map."""
        reach = self.kernel // 2
        window = enumerate(product(range(y - reach, y + reach + 1), range(x - reach, x + reach + 1)))
        return [
            (tap, *place) for tap, place in window if place[0] in range(self.height) and place[1] in range(self.width)
        ]

    def input_beats(self, y: int, x: int, plane: int) -> list[tuple[int, int]]:
        """Address and first weight row (in the first group) of every beat in the window of a position."""
        return [
            (
                self.input_base + ((plane * self.height + row) * self.width + column) * self.pixel_beats + beat,
                self.weight_base + (tap * self.pixel_beats + beat) * self.config.beat_channels,
            )
            for tap, row, column in self.taps(y, x)
            for beat in range(self.pixel_beats)
        ]

    def descriptor(self) -> int:
        """The packed descriptor."""
        tiles = (self.height // self.side, self.width // self.side)
        last = [count - 1 for count in (*tiles, self.side, self.side, self.planes)]
        last_channels = self.outputs - (self.groups - 1) * self.config.lanes
        values = {
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
            **self._steps("input", last, self.pixel_beats, self.height * self.width * self.pixel_beats),
            "pixel_beats": self.pixel_beats,
            "row_beats": self.width * self.pixel_beats,
            "weight_base": self.weight_base,
            "weight_rows": self.group_rows,
            "output_beats": self.output_beats,
            **self._steps("output", last, self.output_beats, 0),
            "position_params": self.position_params,
            "tile_params": self.tile_params,
        }
        return pack_fields(DESCRIPTOR_LAYOUT, dict.fromkeys(DESCRIPTOR, 0) | values)

    def _steps(self, prefix: str, last: Sequence[int], beats: int, plane_stride: int) -> dict[str, int]:
        """Steps of an address over a raster map with ``beats`` beats a position."""
        row = self.width * beats
        strides = (self.side * row, self.side * beats, row, beats, plane_stride)
        return {f"{prefix}_{level}": step for level, step in zip(LEVELS, steps(last, strides), strict=True)}
