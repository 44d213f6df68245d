"""What an experiment shows: rows of its figures, the page with its tables, and its plot."""

import statistics
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from golden.conversion.experiment import ConversionExperiment
from golden.experiment import Experiment
from scripts.plots import accuracies, along, over_time
from scripts.tables import integer, percent

_SIZES = ("image_size", "dim", "depth", "timesteps", "windows")


class Findings(ABC):
    """How the figures of one kind of experiment are shown.

    Members
    -------
    columns: of the first table; shown: how many of them there is room for in a terminal.
    """

    columns: tuple[str, ...]
    shown: int

    @abstractmethod
    def rows(self, figures: dict) -> list[dict]:
        """The rows of the first table."""

    @abstractmethod
    def cells(self, row: dict) -> tuple[str, ...]:
        """A row as text."""

    @abstractmethod
    def measured(self) -> str:
        """What accuracy is of, for the page."""

    @abstractmethod
    def plot(self, chosen: Experiment | ConversionExperiment, rows: list[dict]) -> str:
        """The plot, as SVG."""

    def tables(self, figures: dict) -> list[str]:
        """The tables of the page, as lines of Markdown."""
        return markdown(self.columns, [self.cells(row) for row in self.rows(figures)])

    def page(self, figures: dict) -> str:
        """The page of an experiment, as Markdown."""
        name, versions = figures["experiment"], figures["versions"]
        base = ", ".join(f"{key} {figures['base'][key]}" for key in _SIZES)
        seeds = len({run["seed"] for run in figures["runs"]})
        lines = [
            f"# {name}",
            "",
            figures["question"],
            "",
            f"`{figures['command']}`: {figures['data']}; {base};",
            f"{', '.join(figures['stages'])}.",
            "Little training: enough to rank, not to compare with networks elsewhere. "
            f"Accuracy is of {self.measured()},",
            f"mean and sample standard deviation over {seeds} seeds. Python {versions['python']}, "
            f"torch {versions['torch']}, {versions['machine']}.",
            "",
            *self.tables(figures),
            "",
            f"![accuracy]({name}.svg)",
        ]
        return "\n".join(lines) + "\n"


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table as lines of Markdown."""
    return [_line(columns), "|" + "---|" * len(columns), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


class NetworkFindings(Findings):
    """Of trained networks."""

    columns = (
        "variant",
        "accuracy",
        "spread",
        "without the mask",
        "mask fires",
        "accumulates",
        "of the attention",
        "QA and KA, bits",
        "eq. 19, uJ",
    )
    shown = 5
    _means = ("accuracy", "accumulates", "attention", "eq19_mj")

    def rows(self, figures: dict) -> list[dict]:
        """Mean over the seeds, and the spread of the accuracy (sample standard deviation), of every variant."""
        rows = []
        for variant in figures["variants"]:
            runs = [run for run in figures["runs"] if run["variant"] == variant]
            row = {key: statistics.mean(run[key] for run in runs) for key in self._means}
            row["aggregate_bits"] = runs[0]["aggregate_bits"]
            # Only SASA has a mask.
            masks = [rate for run in runs for rate in run["mask_rate"].values()]
            row["mask_rate"] = statistics.mean(masks) if masks else None
            without = [run["accuracy_without_mask"] for run in runs]
            row["accuracy_without_mask"] = statistics.mean(without) if masks else None
            row["spread"] = statistics.stdev(run["accuracy"] for run in runs)
            rows.append({"variant": variant} | row)
        return rows

    def cells(self, row: dict) -> tuple[str, ...]:
        return (
            row["variant"],
            f"{100 * row['accuracy']:.2f} %",
            f"{100 * row['spread']:.2f}",
            "" if row["mask_rate"] is None else f"{100 * row['accuracy_without_mask']:.2f} %",
            "" if row["mask_rate"] is None else percent(row["mask_rate"]),
            integer(row["accumulates"]),
            integer(row["attention"]),
            "" if row["aggregate_bits"] is None else integer(row["aggregate_bits"]),
            f"{1000 * row['eq19_mj']:.2f}",
        )

    def measured(self) -> str:
        return "the integer model"

    def plot(self, chosen: Experiment, rows: list[dict]) -> str:
        if chosen.axis is None:
            return accuracies(rows)
        numbers = [getattr(chosen.config(row["variant"]), chosen.axis) for row in rows]
        return along(chosen.axis, numbers, rows)


class ConversionFindings(Findings):
    """Of converted networks."""

    columns = ("variant", "neurons", "T", "accuracy", "spread", "spikes an image")
    shown = 6

    def rows(self, figures: dict) -> list[dict]:
        """For every variant the quantised network, every scheme and number of timesteps, and the integer form."""
        rows = []
        for variant in figures["variants"]:
            runs = [run for run in figures["runs"] if run["variant"] == variant]
            rows.append(_converted(variant, "quantised, no spikes", None, [run["accuracy"] for run in runs]))
            for results in zip(*(run["results"] for run in runs), strict=True):
                accuracy = [result["accuracy"] for result in results]
                spikes = statistics.mean(result["spikes"] for result in results)
                rows.append(_converted(variant, results[0]["scheme"], results[0]["timesteps"], accuracy, spikes))
            if runs[0]["integer"] is not None:
                accuracy = [run["integer"]["accuracy"] for run in runs]
                rows.append(_converted(variant, "pmsm, integers", 1, accuracy))
        return rows

    def cells(self, row: dict) -> tuple[str, ...]:
        return (
            row["variant"],
            row["scheme"],
            "" if row["timesteps"] is None else str(row["timesteps"]),
            f"{100 * row['accuracy']:.2f} %",
            f"{100 * row['spread']:.2f}",
            "" if row["spikes"] is None else integer(row["spikes"]),
        )

    def measured(self) -> str:
        return "test images"

    def plot(self, chosen: ConversionExperiment, rows: list[dict]) -> str:
        return over_time([row for row in rows if row["scheme"] in ("pmsm", "qcfs", "if")])

    def tables(self, figures: dict) -> list[str]:
        worst = max(run["differences"] for run in figures["runs"])
        words = (
            f"Values in which PMSM at one timestep differs from the quantised network, the most of any run: {worst}."
        )
        layers = []
        for variant in figures["variants"]:
            runs = [run["quantisers"] for run in figures["runs"] if run["variant"] == variant]
            for quantisers in zip(*runs, strict=True):
                bounds = sorted({f"{row['low']} to {row['high']}" for row in quantisers})
                means = [
                    f"{statistics.mean(row[key] for row in quantisers):.3f}"
                    for key in ("threshold", "entropy_before", "entropy_after")
                ]
                layers.append((variant, quantisers[0]["name"], ", ".join(bounds), *means))
        columns = ("variant", "quantiser", "levels", "threshold", "entropy before, bits", "after")
        return [*super().tables(figures), "", words, "", *markdown(columns, layers)]


def _converted(
    variant: str, scheme: str, timesteps: int | None, accuracy: list[float], spikes: float | None = None
) -> dict:
    return {
        "variant": variant,
        "scheme": scheme,
        "timesteps": timesteps,
        "accuracy": statistics.mean(accuracy),
        "spread": statistics.stdev(accuracy),
        "spikes": spikes,
    }


def findings_of(experiment: Experiment | ConversionExperiment) -> Findings:
    """How its figures are shown."""
    return ConversionFindings() if isinstance(experiment, ConversionExperiment) else NetworkFindings()
