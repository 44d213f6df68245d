"""The progress of a comparison on the terminal: layer, cycle, cycles per second, time left."""

import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hw.compile.lowering import Lowered
from scripts.tables import bars, integer
from sim.cosim import Position


class ProgressBar:
    """A bar on the standard error, gone when it is done; nothing where that is no terminal.

    Parameters
    ----------
    lowered : the program, for the names of its layers
    images : how many will run
    """

    def __init__(self, *, lowered: Lowered, images: int):
        self._names = [layer.step.name for layer in lowered.layers]
        self._images = images
        self._bar = bars(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._task = self._bar.add_task("building the simulation", total=None)
        self._begin = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @property
    def tasks(self) -> list[Task]:
        """What the bar shows: one task."""
        return self._bar.tasks

    def show(self, position: Position) -> None:
        """Show where the comparison is."""
        if position.cycles == 0:
            self._begin = time.monotonic()
        text = describe(position, self._names, self._images, seconds=time.monotonic() - self._begin)
        self._bar.update(
            self._task,
            description=text,
            # An image is never over before it is: what is above the estimate does not move the bar.
            completed=position.done * position.expected + min(position.cycles, position.expected),
            total=self._images * position.expected,
        )


def describe(position: Position, names: list[str], images: int, *, seconds: float) -> str:
    """Return where a comparison is: image, layer, cycle, cycles per second."""
    speed = position.cycles / seconds if seconds > 0 else 0.0
    name = names[position.layer] if position.layer < len(names) else "end"
    image = f"image {position.done + 1} of {images}, " if images > 1 else ""
    return f"{image}{name}, cycle {integer(position.cycles)}, {integer(speed)} a second"
