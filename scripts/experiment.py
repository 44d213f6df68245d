"""``saformer experiment``: train the variants of a question, and write the answer as JSON, table and plot."""

import hashlib
import json
import statistics
from pathlib import Path
from typing import Annotated

import torch
import typer

from golden.data import ENVIRONMENT, ImageSet
from golden.datasets import CIFAR10
from golden.experiment import (
    EXPERIMENTS,
    SEEDS,
    TEST_IMAGES,
    TRAINING_IMAGES,
    Experiment,
    find_experiment,
    run_plan,
    versions,
)
from scripts.outputs import ensure_folder, write_json, write_text
from scripts.plots import accuracies, along
from scripts.resume import ResultsFile, run_points
from scripts.tables import console, integer, percent, table

COLUMNS = (
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
_SHOWN = 5
_MEANS = ("accuracy", "accumulates", "attention", "eq19_mj")


def experiment(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help=f"One of {', '.join(EXPERIMENTS)}.")] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", envvar=ENVIRONMENT, help="Folder with the python version of CIFAR-10."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where NAME.json, NAME.md and NAME.svg are written.")] = Path(
        "docs/experiments"
    ),
    work: Annotated[
        Path, typer.Option(metavar="DIR", help="Checkpoints and finished runs; started again, it goes on from there.")
    ] = Path("results/experiments"),
    show: Annotated[bool, typer.Option("--show", help="Train nothing: make table and plot of the JSON again.")] = False,
) -> None:
    """Run an experiment: every variant with three seeds, on real images, and measure the integer models.

    Without NAME, prints the questions.
    """
    if name is None:
        for each in EXPERIMENTS.values():
            console().print(f"{each.name:<12} {each.question}", soft_wrap=True)
        return
    chosen = find_experiment(name)
    ensure_folder(out)
    record = out / f"{name}.json"
    if not show:
        ensure_folder(work)
        write_json(record, _run(chosen, data, work))
    figures = json.loads(record.read_text(encoding="utf-8"))
    rows = summary(figures)
    write_text(out / f"{name}.svg", _plot(chosen, rows))
    write_text(out / f"{name}.md", page(figures, rows))
    # A terminal has room for the first columns; the page has all.
    console().print(table(COLUMNS[:_SHOWN], [cells(row)[:_SHOWN] for row in rows]))
    console().print(f"wrote {record}, {name}.md and {name}.svg")


def _run(chosen: Experiment, data: Path | None, work: Path) -> dict:
    """Do the runs that are not finished; returns the record of all."""
    training = CIFAR10.load("train", data).select(first=0, count=TRAINING_IMAGES)
    test = CIFAR10.load("test", data).select(first=0, count=TEST_IMAGES)
    # Sums in another order would give other models: one thread, on any machine.
    torch.set_num_threads(1)
    runs = _all_runs(chosen, training, test, work)
    return {
        "experiment": chosen.name,
        "question": chosen.question,
        "command": f"saformer experiment {chosen.name}",
        "data": f"CIFAR-10, the first {TRAINING_IMAGES} training and {TEST_IMAGES} test images",
        "base": chosen.base.to_dict(),
        "variants": {name: dict(changes) for name, changes in chosen.variants.items()},
        "stages": [f"{stage.name}: {stage.epochs} epochs" for stage in chosen.stages],
        "versions": versions(),
        "runs": runs,
    }


def _all_runs(chosen: Experiment, training: ImageSet, test: ImageSet, work: Path) -> list[dict]:
    runs = [(variant, seed, chosen.plan(variant, seed)) for seed in SEEDS for variant in chosen.variants]
    # Experiments share runs: what one has trained, the next one takes.
    plans = {repr(plan): plan for _, _, plan in runs}
    points = [{"plan": text, "training": len(training), "test": len(test)} for text in plans]

    def evaluate(point: dict) -> dict:
        folder = work / hashlib.sha256(point["plan"].encode()).hexdigest()[:16]
        return run_plan(plans[point["plan"]], training=training, test=test, folder=folder)

    found = run_points(points, evaluate, ResultsFile(work / "runs.jsonl"), what=chosen.name)
    results = dict(zip(plans, found, strict=True))
    return [{"variant": variant, "seed": seed} | results[repr(plan)] for variant, seed, plan in runs]


def summary(figures: dict) -> list[dict]:
    """Mean over the seeds, and the spread of the accuracy (sample standard deviation), of every variant."""
    rows = []
    for variant in figures["variants"]:
        runs = [run for run in figures["runs"] if run["variant"] == variant]
        row = {key: statistics.mean(run[key] for run in runs) for key in _MEANS}
        row["aggregate_bits"] = runs[0]["aggregate_bits"]
        # Only SASA has a mask.
        masks = [rate for run in runs for rate in run["mask_rate"].values()]
        row["mask_rate"] = statistics.mean(masks) if masks else None
        row["accuracy_without_mask"] = statistics.mean(run["accuracy_without_mask"] for run in runs) if masks else None
        row["spread"] = statistics.stdev(run["accuracy"] for run in runs)
        rows.append({"variant": variant, "runs": len(runs)} | row)
    return rows


def _plot(chosen: Experiment, rows: list[dict]) -> str:
    if chosen.axis is None:
        return accuracies(rows)
    numbers = [getattr(chosen.config(row["variant"]), chosen.axis) for row in rows]
    return along(chosen.axis, numbers, rows)


def cells(row: dict) -> tuple[str, ...]:
    """A row of the table as text."""
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


def page(figures: dict, rows: list[dict]) -> str:
    """The page of an experiment, as Markdown."""
    name, versions = figures["experiment"], figures["versions"]
    base = ", ".join(f"{key} {figures['base'][key]}" for key in ("image_size", "dim", "depth", "timesteps", "windows"))
    lines = [
        f"# {name}",
        "",
        figures["question"],
        "",
        f"`{figures['command']}`: {figures['data']}; {base};",
        f"{', '.join(figures['stages'])}.",
        "Little training: enough to rank, not to compare with networks elsewhere. Accuracy is of the integer model,",
        f"mean and sample standard deviation over {rows[0]['runs']} seeds. Python {versions['python']}, "
        f"torch {versions['torch']}, {versions['machine']}.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(cells(row)) + " |" for row in rows),
        "",
        f"![accuracy]({name}.svg)",
    ]
    return "\n".join(lines) + "\n"
