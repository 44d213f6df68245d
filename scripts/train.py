"""``saformer train``: from random weights to a quantised model."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from golden.config import ModelConfig, load_config
from golden.data import ENVIRONMENT
from golden.plan import Stage, TrainPlan, default_stages
from golden.train import run_training
from scripts.inputs import load_training
from scripts.outputs import ensure_folder
from scripts.tables import console

FAST_EPOCHS = {"one-step": 2, "all-steps": 1, "quantised": 1}
"""Epochs of ``--fast``: enough to see it learn."""


def train(
    config: Annotated[str, typer.Argument(help="A configuration: a name (tiny, ...) or a TOML file.")] = "tiny",
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for checkpoints, history and the finished model.")
    ] = Path("results/train"),
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            envvar=ENVIRONMENT,
            help="Folder with the python version of CIFAR-10 (event input: N-MNIST); needed.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Seed of weights, order and augmentation.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Images of a training step.")] = 128,
    validation: Annotated[
        int, typer.Option(min=1, help="Images of the training split held out for validation.")
    ] = 2000,
    fast: Annotated[bool, typer.Option("--fast", help="A few epochs only: a trial, not a good model.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads; all by default.")] = None,
) -> None:
    """Train and quantise a model on CIFAR-10, or one with event input on N-MNIST.

    First at one timestep, then at all of them, then with 8-bit weights. A run that was interrupted continues where its
    last checkpoint was, if it is started again with the same settings.
    """
    settings = load_config(config)
    plan = TrainPlan(config=settings, stages=_stages(settings, fast), seed=seed, batch=batch, validation=validation)
    images = load_training(settings, data)
    ensure_folder(out)
    if threads is not None:
        torch.set_num_threads(threads)
    _model, history = run_training(plan, data=images, folder=out)
    path = out / f"{settings.name}.safetensors"
    console().print(f"wrote {path} after {len(history)} epochs; evaluate it with: saformer golden {path}")


def _stages(config: ModelConfig, fast: bool) -> tuple[Stage, ...]:
    """Return the stages of a run, shortened on request."""
    stages = default_stages(config)
    return tuple(replace(stage, epochs=FAST_EPOCHS[stage.name]) for stage in stages) if fast else stages
