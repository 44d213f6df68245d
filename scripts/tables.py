"""Tables, numbers and bars for the terminal."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, ProgressColumn
from rich.table import Table

WIDTH = 120
"""Columns of a table where the output is not a terminal."""

RESOURCES = {"lut": "LUT", "ff": "FF", "block": "block RAM", "single_port": "single-port RAM"}
"""What the resources of a device are called."""


def console(*, error: bool = False) -> Console:
    """Return where a command prints: the standard output, or the standard error."""
    out = Console(stderr=error, highlight=False)
    return out if out.is_terminal else Console(stderr=error, width=WIDTH, highlight=False)


def bars(*columns: ProgressColumn) -> Progress:
    """Return progress bars on the standard error, gone when they are done; nothing where that is no terminal."""
    out = console(error=True)
    return Progress(*columns, console=out, transient=True, disable=not out.is_terminal)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table whose first column is text and whose other columns are numbers."""
    result = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        result.add_column(column, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        result.add_row(*row)
    return result


def percent(share: float) -> str:
    """Return a share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"


def recognised(accuracy: float | None, *, decimals: int = 1) -> str:
    """Return an accuracy as a percentage; there is none where the truth is not known."""
    return "unknown (no labels)" if accuracy is None else f"{100 * accuracy:.{decimals}f} %"


def integer(value: float) -> str:
    """Return a count with its thousands separated."""
    return f"{value:,.0f}"


def duration(seconds: float) -> str:
    """Return a time as hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))


def millijoule(value: float) -> str:
    """Return an energy with three significant digits, in uJ below 0.1 mJ."""
    return f"{1000 * value:.3g} uJ" if value < 0.1 else f"{value:.3g} mJ"
