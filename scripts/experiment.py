"""``saformer experiment``: train the variants of a question, and write the answer as JSON, table and plot."""

import hashlib
import json
from pathlib import Path
from typing import Annotated

import torch
import typer

from golden.conversion.experiment import ConversionExperiment
from golden.data import ENVIRONMENT, ImageSet
from golden.datasets import CIFAR10
from golden.experiment import SEEDS, TEST_IMAGES, TRAINING_IMAGES, Experiment, versions
from golden.questions import QUESTIONS, find_experiment
from scripts.findings import findings_of
from scripts.outputs import ensure_folder, write_json, write_text
from scripts.resume import ResultsFile, run_points
from scripts.tables import console, table


def experiment(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help=f"One of {', '.join(QUESTIONS)}.")] = None,
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
        for each in QUESTIONS.values():
            console().print(f"{each.name:<12} {each.question}", soft_wrap=True)
        return
    chosen = find_experiment(name)
    ensure_folder(out)
    record = out / f"{name}.json"
    if not show:
        ensure_folder(work)
        write_json(record, _run(chosen, data, work))
    figures = json.loads(record.read_text(encoding="utf-8"))
    findings = findings_of(chosen)
    rows = findings.rows(figures)
    write_text(out / f"{name}.svg", findings.plot(chosen, rows))
    write_text(out / f"{name}.md", findings.page(figures))
    # A terminal has room for the first columns; the page has all.
    shown = slice(findings.shown)
    console().print(table(findings.columns[shown], [findings.cells(row)[shown] for row in rows]))
    console().print(f"wrote {record}, {name}.md and {name}.svg")


def _run(chosen: Experiment | ConversionExperiment, data: Path | None, work: Path) -> dict:
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


def _all_runs(chosen: Experiment | ConversionExperiment, training: ImageSet, test: ImageSet, work: Path) -> list[dict]:
    runs = [(variant, seed, chosen.key(variant, seed)) for seed in SEEDS for variant in chosen.variants]
    # Experiments share runs: what one has trained, the next one takes.
    plans = {key: (variant, seed) for variant, seed, key in runs}
    points = [{"plan": key, "training": len(training), "test": len(test)} for key in plans]

    def evaluate(point: dict) -> dict:
        folder = work / hashlib.sha256(point["plan"].encode()).hexdigest()[:16]
        return chosen.run(*plans[point["plan"]], training=training, test=test, folder=folder)

    found = run_points(points, evaluate, ResultsFile(work / "runs.jsonl"), what=chosen.name)
    results = dict(zip(plans, found, strict=True))
    return [{"variant": variant, "seed": seed} | results[key] for variant, seed, key in runs]
