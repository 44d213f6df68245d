"""Random layers of a serial accelerator, and what their walk asks for."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from hw.serial.config import PLANES, SerialConfig
from hw.serial.program import TARGET, Fold, Mode


@dataclass(frozen=True, kw_only=True)
class Place:
    """A position and timestep, as `hw.serial.config.place_layout` has it."""

    row: int
    column: int
    step: int
    first: int
    last: int


def targets(**flags: int) -> int:
    """A target as a number."""
    return TARGET.const(flags).as_value().value


def random_grid(rng: random.Random, config: SerialConfig) -> dict[str, int]:
    """A map of a random side, in tiles of a random side, with random steps."""
    tile = rng.choice((1, 1, 2, 4))
    side = tile * rng.randint(1, config.side // 2 // tile)
    steps = rng.randint(1, config.timesteps)
    return {"last": side - 1, "tile_mask": tile - 1, "last_step": steps - 1, "last_tile_step": steps - 1}


def random_walk(rng: random.Random, config: SerialConfig, mode: Mode) -> dict[str, int]:
    """The fields of a layer that the walk looks at."""
    grid = random_grid(rng, config)
    if mode is Mode.DENSE and rng.random() < 0.3:
        grid |= {"fold": Fold.BITS, "last_step": PLANES - 1, "tile_mask": 0}
    small = rng.getrandbits(1) if grid["last_step"] < config.timesteps else 0
    kernel3, words = rng.getrandbits(1), 4 * config.words if small else config.words
    if mode is not Mode.DENSE or grid["last_step"] >= config.timesteps:
        words = 1
    return grid | {
        "mode": mode,
        "kernel3": kernel3,
        "last_word": rng.randrange(words),
        "masked": mode is Mode.DEPTHWISE,
        "corner": rng.getrandbits(1),
        "extra": rng.randint(1, 5) if mode is Mode.DEPTHWISE else 0,
        "input": rng.randrange(config.maps),
        "mask": rng.randrange(config.maps),
        "small_input": small,
    }


def places(fields: dict[str, int]) -> Iterator[Place]:
    """The places of a walk in their order: tile by tile, then position by position, then step by step."""
    side, tile = fields["last"] + 1, fields["tile_mask"] + 1
    for top in range(0, side, tile):
        for left in range(0, side, tile):
            for down in range(tile):
                for right in range(tile):
                    marks = {"first": down == right == 0, "last": down == right == tile - 1}
                    for step in range(fields["last_step"] + 1):
                        yield Place(row=top + down, column=left + right, step=step, **marks)
