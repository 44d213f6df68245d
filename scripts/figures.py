"""Plots that a command writes to a file, SVG or PNG."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from golden.errors import SaformerError
from scripts.outputs import ensure_writable
from scripts.plots import BLUE, GREY, INK, ORANGE, STYLE

COLOURS = (BLUE, ORANGE, "#4f8a5b", "#8a5b9a", INK)
SUFFIXES = (".svg", ".png")


@dataclass(frozen=True, kw_only=True)
class Series:
    """Points of one kind: x, y, and whether the point is marked."""

    name: str
    points: Sequence[tuple[float, float, bool]]


def ensure_figure(path: Path | None) -> None:
    """Check that a figure could be written. Raises SaformerError if not."""
    if path is not None and path.suffix not in SUFFIXES:
        raise SaformerError(f"cannot plot to {path}: name a file that ends in {' or '.join(SUFFIXES)}")
    ensure_writable(path)


def scatter(series: Sequence[Series], *, x: str, y: str) -> Figure:
    """Return a plot with a logarithmic y axis, on which a line joins the marked points of a series."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _axes(x, y)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        for colour, each in zip(_cycle(series), series, strict=True):
            marked = sorted(point for point in each.points if point[2])
            axes.plot(*_columns(marked), color=colour, marker="o", markersize=5, linewidth=1.2, label=each.name)
            others = [point for point in each.points if not point[2]]
            axes.plot(*_columns(others), color=colour, marker="o", markersize=3, linestyle="", alpha=0.4)
        axes.legend(frameon=False)
        return figure


def curves(series: Sequence[Series], *, x: str, y: str) -> Figure:
    """Return a plot of lines through the points of every series; marked points have a marker."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _axes(x, y)
        for colour, each in zip(_cycle(series), series, strict=True):
            axes.plot(*_columns(each.points), color=colour, linewidth=1.4, label=each.name)
            marked = [point for point in each.points if point[2]]
            axes.plot(*_columns(marked), color=colour, marker="o", markersize=5, linestyle="")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
        return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the file's suffix. Raises SaformerError when that is impossible."""
    # A date would make the same figure another file.
    metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else None
    with matplotlib.rc_context(STYLE):
        try:
            figure.savefig(path, metadata=metadata, dpi=150)
        except OSError as error:
            raise SaformerError(f"cannot write {path} ({error.strerror}): name another file") from None


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=x, ylabel=y)
    axes.grid(color="#e6e9ec", linewidth=0.8)
    axes.tick_params(color=GREY)
    axes.set_axisbelow(True)
    return figure, axes


def _cycle(series: Sequence[Series]) -> list[str]:
    return [COLOURS[number % len(COLOURS)] for number in range(len(series))]


def _columns(points: Sequence[tuple[float, float, bool]]) -> tuple[list[float], list[float]]:
    return [point[0] for point in points], [point[1] for point in points]
