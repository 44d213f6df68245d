"""The plots of the report, as SVG text."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#2f6f9f", "#d98032", "#b9c0c7"
INK = "#2b3138"
_COLOURS = (BLUE, ORANGE, INK, GREY, "#7a9a4d", "#a05a8c", "#c9a227")
STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "path",
    # Without a fixed salt the identifiers in the file would differ from run to run.
    "svg.hashsalt": "saformer",
}


def firing_rates(layers: Sequence[dict]) -> str:
    """Plot the firing rate of every layer's input."""
    chosen = [layer for layer in layers if layer["firing_rate"]]

    def draw(axes: Axes) -> None:
        rates = [100 * layer["firing_rate"] for layer in chosen]
        bars = axes.barh([layer["name"] for layer in chosen], rates, color=BLUE, height=0.65)
        axes.bar_label(bars, [f"{rate:.1f}" for rate in rates], padding=3, fontsize=8)
        axes.set_xlabel("inputs that fire, % (conv1: set bits of the pixels)")

    return _plot(draw, rows=len(chosen))


def accumulates(layers: Sequence[dict]) -> str:
    """Plot the accumulates of every layer: of the integer model, and as the hardware counted them."""
    chosen = [layer for layer in layers if layer["sops_golden"] or layer["sops_rtl"]]

    def draw(axes: Axes) -> None:
        places = np.arange(len(chosen))
        for offset, key, colour, label in (
            (-0.2, "sops_golden", GREY, "integer model"),
            (0.2, "sops_rtl", BLUE, "RTL"),
        ):
            values = [layer[key] / 1e3 for layer in chosen]
            axes.barh(places + offset, values, color=colour, height=0.36, label=label)
        axes.set_yticks(places, [layer["name"] for layer in chosen])
        axes.set_xlabel("accumulates, thousands")
        axes.legend(frameon=False, loc="lower right")

    return _plot(draw, rows=len(chosen))


def energies(energy_mj: Mapping[str, float]) -> str:
    """Plot the energy of an inference by every convention, on a logarithmic axis."""

    def draw(axes: Axes) -> None:
        bars = axes.barh(list(energy_mj), list(energy_mj.values()), color=BLUE, height=0.65)
        axes.bar_label(bars, [f"{energy:.3g}" for energy in energy_mj.values()], padding=3, fontsize=8)
        axes.set_xscale("log")
        axes.set_xlabel("energy of an inference, mJ")

    return _plot(draw, rows=len(energy_mj))


def accuracies(rows: Sequence[dict]) -> str:
    """Plot the accuracy of every variant, with its spread, and what is left of it without the mask."""

    def draw(axes: Axes) -> None:
        places = np.arange(len(rows))
        errors = {"ecolor": INK, "elinewidth": 0.8}
        for offset, key, colour, label in (
            (-0.2, "accuracy", BLUE, "integer model"),
            (0.2, "accuracy_without_mask", GREY, "mask forced to zero"),
        ):
            spread = [100 * row["spread"] for row in rows] if key == "accuracy" else None
            values = [np.nan if row[key] is None else 100 * row[key] for row in rows]
            axes.barh(places + offset, values, xerr=spread, color=colour, height=0.36, label=label, error_kw=errors)
        axes.set_yticks(places, [row["variant"] for row in rows])
        axes.set_xlabel("accuracy, %")
        axes.legend(frameon=False, loc="lower right")

    return _plot(draw, rows=2 * len(rows))


def along(name: str, numbers: Sequence[int], rows: Sequence[dict]) -> str:
    """Plot accuracy, energy and the attention's operations against a number that the variants differ in."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 2.8), layout="constrained")
        axes = figure.subplots(1, 3)
        values = (
            ("accuracy, %", [100 * row["accuracy"] for row in rows], [100 * row["spread"] for row in rows]),
            ("energy by eq. 19, uJ", [1e3 * row["eq19_mj"] for row in rows], None),
            ("operations of the attention, thousands", [row["attention"] / 1e3 for row in rows], None),
        )
        for each, (label, heights, spread) in zip(axes, values, strict=True):
            each.errorbar(
                numbers, heights, yerr=spread, color=BLUE, marker="o", markersize=4, ecolor=INK, elinewidth=0.8
            )
            each.set_xscale("log", base=2)
            each.set_xticks(numbers, [str(number) for number in numbers])
            each.set_xlabel(name)
            each.set_title(label, fontsize=9)
            each.margins(y=0.25)
        return _svg(figure)


def over_time(rows: Sequence[dict]) -> str:
    """Plot accuracy against the timesteps, a panel for each variant and a line for each kind of neuron."""
    variants = list(dict.fromkeys(row["variant"] for row in rows))
    columns = 2
    with matplotlib.rc_context(STYLE):
        lines = -(-len(variants) // columns)
        figure = Figure(figsize=(7.4, 2.1 * lines + 0.4), layout="constrained")
        panels = figure.subplots(lines, columns, sharey=True, squeeze=False).flat
        for axes, variant in zip(panels, variants, strict=False):
            chosen = [row for row in rows if row["variant"] == variant]
            for scheme, colour in zip(dict.fromkeys(row["scheme"] for row in chosen), _COLOURS, strict=False):
                points = [row for row in chosen if row["scheme"] == scheme]
                steps = [row["timesteps"] for row in points]
                heights, spread = ([100 * row[key] for row in points] for key in ("accuracy", "spread"))
                axes.errorbar(steps, heights, yerr=spread, color=colour, marker="o", markersize=4, label=scheme)
                axes.set_xscale("log", base=2)
                axes.set_xticks(steps, [str(step) for step in steps])
            axes.set_title(variant, fontsize=9)
            axes.set_xlabel("timesteps")
            axes.set_ylabel("accuracy, %")
            axes.legend(frameon=False, fontsize=8)
        return _svg(figure)


def cycles(layers: Sequence[dict]) -> str:
    """Plot the cycles of every layer against the ideal ones, with the excess in per cent."""
    chosen = [layer for layer in layers if layer["cycles"]]

    def draw(axes: Axes) -> None:
        places = np.arange(len(chosen))
        spent = [layer["cycles"] for layer in chosen]
        ideal = [layer["ideal_cycles"] for layer in chosen]
        bars = axes.barh(places, spent, color=ORANGE, height=0.65, label="above ideal")
        axes.barh(places, np.minimum(ideal, spent), color=BLUE, height=0.65, label="ideal")
        excess = [f"+{100 * (a / b - 1):.0f} %" if b else "" for a, b in zip(spent, ideal, strict=True)]
        axes.bar_label(bars, excess, padding=3, fontsize=8)
        axes.set_yticks(places, [layer["name"] for layer in chosen])
        axes.set_xlabel("clock cycles")
        axes.legend(frameon=False, loc="lower right")

    return _plot(draw, rows=len(chosen), width=11.0)


def growth(by_rate: Sequence[dict], by_size: Sequence[dict]) -> str:
    """Plot the cycles of an inference against the firing rate, and against the number of tokens, beside the ideal."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        for axes, rows, across in (
            (left, by_rate, [100 * row["mean_rate"] for row in by_rate]),
            (right, by_size, [row["tokens"] for row in by_size]),
        ):
            axes.plot(across, [row["cycles"] / 1e3 for row in rows], color=BLUE, marker="o", ms=4, label="RTL")
            ideal = [row["ideal_cycles"] / 1e3 for row in rows]
            axes.plot(across, ideal, color=ORANGE, linestyle="--", label="ideal: one event a cycle")
            axes.set(xlim=(0, None), ylim=(0, None))
            axes.grid(color="#e6e9ec", linewidth=0.8)
            axes.legend(frameon=False, loc="upper left")
        left.set_xlabel("inputs that fire, % (mean of the layers behind conv1)")
        left.set_ylabel("thousand cycles")
        right.set_xlabel("tokens")
        return _svg(figure)


def powers(rows: Sequence[dict]) -> str:
    """Plot operations against tokens and against windows, all axes logarithmic, with the exponents."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 3.6), layout="constrained")
        for axes, axis, words in zip(figure.subplots(1, 2), ("N", "n"), ("tokens N", "windows n"), strict=True):
            for row, colour in zip([row for row in rows if row["axis"] == axis], _COLOURS, strict=False):
                label = f"{row['attention']}: {axis} to the power of {row['exponent']:.2f}"
                axes.loglog(row["sizes"], row["operations"], "o-", color=colour, label=label, markersize=4)
            axes.set_xlabel(words)
            axes.set_ylabel("operations an image")
            axes.legend(frameon=False, fontsize=8)
        return _svg(figure)


def raster(spikes: Sequence[tuple[str, np.ndarray]]) -> str:
    """Plot the spikes of one image: a row for each (name, [T, channels, positions]), a column for each timestep."""
    steps = spikes[0][1].shape[0]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 0.78 * len(spikes) + 0.6), layout="constrained")
        grid = figure.subplots(len(spikes), steps, squeeze=False)
        for row, (name, values) in zip(grid, spikes, strict=True):
            for step, axes in enumerate(row):
                axes.imshow(values[step], cmap="Greys", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(True)
                axes.spines[:].set_color(GREY)
            row[0].set_ylabel(f"{name}\n{values.shape[1]} x {values.shape[2]}", rotation=0, ha="right", va="center")
        for step, axes in enumerate(grid[0]):
            axes.set_title(f"t = {step}", fontsize=9)
        return _svg(figure)


def picture(pixels: np.ndarray) -> str:
    """Return an image uint8 [C, H, W] as a data URL; one channel is grey, two are red and blue."""
    channels = pixels.shape[0]
    if channels == 2:
        pixels = np.stack([pixels[0], np.zeros_like(pixels[0]), pixels[1]])
    elif channels != 3:
        pixels = np.repeat(pixels[:1], 3, axis=0)
    buffer = io.BytesIO()
    matplotlib.image.imsave(buffer, np.ascontiguousarray(pixels.transpose(1, 2, 0)), format="png")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _plot(draw: Callable[[Axes], object], *, rows: int, width: float = 6.2) -> str:
    """Return a horizontal bar plot with space for a number of rows; ``width`` is in inches."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, 0.24 * rows + 0.8), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#e6e9ec", linewidth=0.8)
        axes.set_axisbelow(True)
        return _svg(figure)


def _svg(figure: Figure) -> str:
    """Return a figure as an SVG element, without the XML prologue."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
