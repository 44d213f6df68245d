"""``saformer train``: from random weights to a quantised model."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import nn

from golden.config import Input, ModelConfig, load_config
from golden.conversion.stored import load_network
from golden.data import ENVIRONMENT
from golden.errors import SaformerError
from golden.outlook import outlook
from golden.plan import Stage, TrainPlan, default_stages
from golden.recipe import SPIKING
from golden.restore import ContinuedRecipe
from golden.tensors import tensor_specs
from golden.train import has_bfloat16, run_training, split
from scripts.inputs import load_training, resolve_model, training_words
from scripts.outputs import ensure_folder
from scripts.tables import console, duration, integer, table


class Device(StrEnum):
    """What computes."""

    CPU = "cpu"
    CUDA = "cuda"


FAST_EPOCHS = (2, 1, 1)
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
            help="Folder with the published data that fit the model; needed.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Seed of weights, order and augmentation.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Images of a training step.")] = 128,
    validation: Annotated[
        int, typer.Option(min=1, help="Images of the training split held out for validation.")
    ] = 2000,
    epochs: Annotated[
        tuple[int, int, int] | None,
        typer.Option(metavar="ONE ALL QUANTISED", help="Epochs at one timestep, at all, and quantised."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--lr", metavar="X", min=0, help="Learning rate of the first stage; the others in proportion."),
    ] = None,
    warmup: Annotated[int, typer.Option(min=0, help="Steps of linear warm-up at the start of every stage.")] = 200,
    mirror: Annotated[
        bool | None,
        typer.Option("--mirror/--no-mirror", help="Mirror half of the training images; by default not for events."),
    ] = None,
    rotation: Annotated[
        float, typer.Option(metavar="DEG", help="Most degrees by which training images are turned.")
    ] = 0.0,
    zoom: Annotated[
        float, typer.Option(metavar="X", help="Most share of the size by which training images grow or shrink.")
    ] = 0.0,
    randaugment: Annotated[
        tuple[int, int],
        typer.Option(metavar="N M", help="RandAugment: N changes of every training image, of magnitude M (1 to 30)."),
    ] = (0, 9),
    erase: Annotated[
        float, typer.Option(metavar="X", help="Share of training images that get a rectangle of random pixels.")
    ] = 0.0,
    mixup: Annotated[
        float, typer.Option(metavar="ALPHA", help="Mix training images, by a beta distribution of this parameter.")
    ] = 0.0,
    start: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Go on from this model, a bundled one or a file, with integer weights."),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Network that teaches too: the --out of saformer convert, on the same images."
        ),
    ] = None,
    teacher_share: Annotated[float, typer.Option(metavar="X", help="Weight of what the teacher says.")] = 0.5,
    temperature: Annotated[float, typer.Option(metavar="X", help="What logits are divided by for that.")] = 2.0,
    bfloat16: Annotated[
        bool | None,
        typer.Option(
            "--bfloat16/--float32",
            help="In what floating-point stages compute; by default in bfloat16 where the device has instructions for "
            "it. The quantised stage is exact, in float32.",
        ),
    ] = None,
    fast: Annotated[bool, typer.Option("--fast", help="A few epochs only: a trial, not a good model.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads; all by default.")] = None,
    device: Annotated[
        Device | None, typer.Option(help="What computes; by default a GPU, if there is one that torch can use.")
    ] = None,
) -> None:
    """Train and quantise a model on CIFAR-10, or one with event input on N-MNIST.

    First at one timestep, then at all of them, then with 8-bit weights. A run that was interrupted continues where its
    last checkpoint was, if it is started again with the same settings.

    With --start there is only the last stage: --epochs 0 0 N, and --lr is its learning rate. Thresholds, timesteps and
    neurons of the configuration may be others than the model's.

    Before it starts it says what it is going to do, and about how long that will take.
    """
    settings = load_config(config)
    taught_by, digest = _teacher(teacher, settings)
    begin = None if start is None else resolve_model(start)
    chosen = device or (Device.CUDA if torch.cuda.is_available() else Device.CPU)
    plan = TrainPlan(
        config=settings,
        stages=_stages(settings, epochs, rate, fast=fast, last=begin is not None),
        seed=seed,
        batch=batch,
        validation=validation,
        warmup=warmup,
        rotation=rotation,
        zoom=zoom,
        mirror=settings.input is Input.PIXELS if mirror is None else mirror,
        data=training_words(settings, data),
        rand_operations=randaugment[0],
        rand_magnitude=randaugment[1],
        erase=erase,
        mixup=mixup,
        start="" if begin is None else begin.digest,
        teacher=digest,
        teacher_share=teacher_share,
        temperature=temperature,
        bfloat16=has_bfloat16(chosen) if bfloat16 is None else bfloat16,
    )
    tensor_specs(settings)  # or it could not be exported
    images = load_training(settings, data)
    if threads is not None:
        torch.set_num_threads(threads)
    recipe = (
        SPIKING if begin is None else ContinuedRecipe(begin.model, config=settings, labelled=split(plan, images)[0])
    )
    ensure_folder(out)
    _show_outlook(plan, outlook(plan, data=images, device=chosen, recipe=recipe), chosen)
    _model, history = run_training(plan, data=images, folder=out, device=chosen, teacher=taught_by, recipe=recipe)
    path = out / f"{settings.name}.safetensors"
    speeds = {record["stage"]: record["images_per_second"] for record in history}
    console().print("images a second: " + ", ".join(f"{stage} {speed:,.0f}" for stage, speed in speeds.items()))
    console().print(f"wrote {path} after {len(history)} epochs; evaluate it with: saformer golden {path}")


def _teacher(folder: Path | None, settings: ModelConfig) -> tuple[nn.Module | None, str]:
    """Return the network that teaches, and its digest. Raises SaformerError for one that sees other images."""
    if folder is None:
        return None, ""
    network, digest = load_network(folder)
    for field in ("in_channels", "image_size", "classes"):
        theirs, mine = getattr(network.config, field), getattr(settings, field)
        if theirs != mine:
            raise SaformerError(f"the teacher in {folder} has {field} = {theirs}, and {settings.name} has {mine}")
    return network, digest


def _show_outlook(plan: TrainPlan, what: dict, device: Device) -> None:
    """Print what a run is going to do."""
    threads = f", {torch.get_num_threads()} threads" if device is Device.CPU else ""
    numbers = "bfloat16 until it is quantised" if plan.bfloat16 else "float32"
    console().print(
        f"{plan.config.name}: {integer(what['parameters'])} parameters; {integer(what['training'])} images to train "
        f"on and {integer(what['validation'])} held out, by seed {plan.seed}; batches of {plan.batch}, {plan.warmup} "
        f"steps of warm-up; {device}{threads}; {numbers}",
        soft_wrap=True,
    )
    rows = [
        (
            stage["name"],
            integer(stage["timesteps"]),
            integer(stage["epochs"]),
            integer(stage["steps"]),
            f"{stage['rate']:g} to {stage['final_rate']:g}",
            duration(stage["seconds"]),
        )
        for stage in what["stages"]
    ]
    console().print(table(("stage", "timesteps", "epochs", "steps", "learning rate", "about"), rows))
    console().print(f"about {duration(what['seconds'])} in all, validation not counted")


def _stages(
    config: ModelConfig, epochs: tuple[int, ...] | None, rate: float | None, *, fast: bool, last: bool
) -> tuple[Stage, ...]:
    """Return the stages of a run: those of the bundled model, or with other epochs and learning rates.

    Raises SaformerError for epochs of others where there is only the ``last``.
    """
    stages = default_stages(config)
    if last and epochs is not None and any(epochs[:-1]):
        raise SaformerError(f"with --start there is only the last stage: use --epochs 0 0 {epochs[-1]}")
    counts = FAST_EPOCHS if fast else epochs or [stage.epochs for stage in stages]
    if last:
        stages, counts = stages[-1:], counts[-1:]
    scale = 1.0 if rate is None else rate / stages[0].rate
    return tuple(
        replace(stage, epochs=count, rate=scale * stage.rate, final_rate=scale * stage.final_rate)
        for stage, count in zip(stages, counts, strict=True)
    )
