"""The serial accelerator at the end of a serial line: what it answers is compared like what a simulation does."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from firmware.link import Identity, Link
from golden.errors import SaformerError
from golden.integer import IntegerModel, run
from hw.compile.serial import SerialLowered
from hw.serial.accelerator import COUNTERS
from hw.serial.config import PLANES
from hw.serial.program import LEAST_CHANNELS
from sim.device import CHECK_CYCLES, ITEM_CYCLES, MARGIN
from sim.serial import SerialRun, Written, compare_counts

MOST_CYCLES = 100_000_000
"""More than any network takes that fits its store."""


@dataclass(frozen=True, kw_only=True)
class SerialPlan:
    """Where things lie in the store, in bytes from its start; the program is at 0.

    Members: items, logits, counters : first bytes; size : of all together.
    """

    items: int
    logits: int
    counters: int
    size: int


def plan_serial(lowered: SerialLowered) -> SerialPlan:
    """Place a program, an input and its results one behind the other."""
    model, items = lowered.model, lowered.program.size
    logits = items + 4 * -(-model.in_channels * model.image_size**2 // 2)
    counters = logits + 4 * model.timesteps * max(model.classes, LEAST_CHANNELS)
    # The last group of classes may be filled up.
    counters += 4 * model.timesteps * LEAST_CHANNELS
    size = counters + 8 * len(COUNTERS) * len(lowered.plans)
    return SerialPlan(items=items, logits=logits, counters=counters, size=size)


class SerialDevice:
    """Runs a program on a board; logits and counters can be seen, nothing else.

    Parameters
    ----------
    link : to the board
    identity : what it says of itself
    lowered : the program
    cycles_per_second : clock cycles that it does; `sim.device.MARGIN` times as long it may take for what it is asked
    progress : is called with the bytes of the program that have arrived

    Raises SaformerError for a program that does not fit the store, or does not arrive as it was sent.
    """

    def __init__(
        self,
        link: Link,
        identity: Identity,
        lowered: SerialLowered,
        *,
        cycles_per_second: float,
        progress: Callable[[int], object] | None = None,
    ):
        self._link, self._lowered, self._speed = link, lowered, cycles_per_second
        payload, self._plan = lowered.program.words().astype("<u4").tobytes(), plan_serial(lowered)
        if self._plan.size > identity.memory_bytes:
            raise SaformerError(
                f"the program, an input and its results need {self._plan.size} bytes, the board has "
                f"{identity.memory_bytes}: use a smaller model"
            )
        if self._crc(len(payload)) != zlib.crc32(payload):
            link.write(0, payload, progress=progress)
            if self._crc(len(payload)) != zlib.crc32(payload):
                raise SaformerError("the program in the board's memory is not what was sent: the memory is broken")

    def run(self, model: IntegerModel, images: Tensor) -> SerialRun:
        """Run one image, uint8 [1, C, H, W], and compare. Raises SaformerError when the board does not answer."""
        plan, items = self._plan, images[0].numpy().transpose(1, 2, 0).ravel().astype("<u2").tobytes()
        self._link.write(plan.items, items + bytes(-len(items) % 4))
        outcome = self._link.run(
            program=0,
            program_words=plan.items // 4,
            items=plan.items,
            item_count=len(items) // 2,
            logits=plan.logits,
            counters=plan.counters,
            cycles=MOST_CYCLES,
            patience=self._patience(ITEM_CYCLES * len(items) + MOST_CYCLES / MARGIN),
        )
        words = np.array(self._link.read(plan.logits, outcome.logits), np.uint32).astype(np.int32)
        pairs = np.array(self._link.read(plan.counters, 2 * outcome.counters), np.int64).reshape(-1, 2)
        counts = pairs[:, 1].reshape(-1, len(COUNTERS))
        layers = [dict(zip(COUNTERS, values, strict=True)) for values in counts.tolist()]
        golden = run(model, images)
        return compare_counts(self._lowered, golden, images, layers, self._sorted(words), cycles=outcome.cycles)

    def _sorted(self, words: np.ndarray) -> Written:
        """The logits by class and timestep: they come group by group, and in a group timestep by timestep."""
        lanes, model, places = self._lowered.config.lanes, self._lowered.model, []
        for first in range(0, model.classes, lanes):
            count = max(min(lanes, model.classes - first), LEAST_CHANNELS)
            channels = first + np.arange(count)
            places += [channels * PLANES + step for step in range(model.timesteps)]
        addresses = np.concatenate(places)
        known = addresses // PLANES < model.classes
        return Written(addresses=addresses[known], values=words.astype(np.int64)[: len(addresses)][known])

    def _crc(self, size: int) -> int:
        """The CRC-32 of the first bytes of the store."""
        return self._link.check(0, size // 4, patience=self._patience(CHECK_CYCLES * size))

    def _patience(self, cycles: float) -> float:
        """Seconds in which the board has done so many cycles."""
        return 1 + MARGIN * cycles / self._speed
