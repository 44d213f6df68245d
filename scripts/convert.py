"""``saformer convert``: train a quantised network, convert it to spikes, and say what that costs."""

import dataclasses
from pathlib import Path
from typing import Annotated

import torch
import typer

from golden.config import load_config
from golden.conversion.config import ConversionConfig, Network
from golden.conversion.measure import report
from golden.conversion.recipe import ConversionRecipe
from golden.conversion.stored import RECORD
from golden.data import ENVIRONMENT
from golden.errors import SaformerError
from golden.plan import Stage, TrainPlan
from golden.train import train_network
from scripts.inputs import load_images, load_training, training_words
from scripts.outputs import ensure_folder, write_json
from scripts.tables import console, integer, recognised, table


def convert(
    config: Annotated[
        str, typer.Argument(help="Sizes of the network: the name of a configuration (tiny, ...) or a TOML file.")
    ] = "tiny",
    network: Annotated[
        Network, typer.Option(help='What is converted; SAFormer with attention = "vsa" is a small vision transformer.')
    ] = Network.VGG,
    levels: Annotated[int, typer.Option(metavar="LP", min=1, max=127, help="Largest output of a layer.")] = 4,
    negative: Annotated[
        int, typer.Option("--negative-levels", metavar="LN", min=0, max=127, help="Largest negative output; 0: none.")
    ] = 4,
    steps: Annotated[
        str, typer.Option("--timesteps", metavar="T,T,...", help="Timesteps to measure the spiking networks at.")
    ] = "1,2,4",
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for checkpoints and the figures, conversion.json.")
    ] = Path("results/convert"),
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", envvar=ENVIRONMENT, help="Folder with the data to train on; needed."),
    ] = None,
    images: Annotated[
        int | None, typer.Option(metavar="K", min=1, help="Test images to measure on; all by default.")
    ] = None,
    epochs: Annotated[
        tuple[int, int], typer.Option(metavar="BEFORE AFTER", help="Epochs before and after thresholds are chosen.")
    ] = (8, 4),
    rate: Annotated[float, typer.Option("--lr", metavar="X", min=0, help="Learning rate of the first epochs.")] = 3e-3,
    batch: Annotated[int, typer.Option(min=1, help="Images of a training step.")] = 128,
    validation: Annotated[int, typer.Option(min=1, help="Images held out for validation.")] = 2000,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Seed of weights, order and augmentation.")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads; all by default.")] = None,
) -> None:
    """Train a quantised network, convert it to spiking neurons of several levels (PMSM), and compare.

    Thresholds and bounds are chosen from data, by entropy. At one timestep the spiking network must equal the
    quantised one in every value of every layer: the exit status is 1 if it does not. Started again on the same folder,
    it goes on with the training, or takes the trained network.
    """
    counts = _steps(steps)
    model = dataclasses.replace(load_config(config), neuron="pmsm", levels=levels, timesteps=1)
    settings = ConversionConfig(model=model, network=network, negative_levels=negative)
    plan = TrainPlan(
        config=model,
        stages=(
            Stage(name="quantised", epochs=epochs[0], timesteps=1, rate=rate, final_rate=rate / 10),
            Stage(name="adjusted", epochs=epochs[1], timesteps=1, rate=rate / 3, quantised=True),
        ),
        seed=seed,
        batch=batch,
        validation=validation,
        data=training_words(model, data),
    )
    test = load_images(model, data, count=images)
    training = load_training(model, data)
    ensure_folder(out)
    if threads is not None:
        torch.set_num_threads(threads)
    trained, history = train_network(plan, data=training, folder=out, recipe=ConversionRecipe(settings))
    figures = report(trained.eval(), images=test, steps=counts)
    record = {"model": model.to_dict(), "conversion": settings.settings()}
    write_json(out / RECORD, record | figures | {"history": history})
    _show(figures)
    console().print(f"wrote {out / RECORD}")
    if figures["differences"]:
        raise typer.Exit(1)


def _steps(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1 or max(counts) > 64:
        raise SaformerError(f"--timesteps takes numbers from 1 to 64 with commas between, not {text!r}")
    return counts


def _show(figures: dict) -> None:
    rows = [
        (
            row["name"],
            f"{row['threshold']:.4f}",
            f"{row['low']} to {row['high']}",
            str(row["bits"]),
            f"{row['entropy_before']:.3f}",
            f"{row['entropy_after']:.3f}",
        )
        for row in figures["quantisers"]
    ]
    columns = ("quantiser", "threshold", "levels", "bits", "entropy before, bits", "after")
    console().print(table(columns, rows))
    rows = [
        (row["scheme"], str(row["timesteps"]), recognised(row["accuracy"], decimals=2), integer(row["spikes"]))
        for row in figures["results"]
    ]
    console().print(table(("neurons", "timesteps", "accuracy", "spikes an image"), rows))
    console().print(
        f"quantised network: {recognised(figures['accuracy'], decimals=2)} of {integer(figures['images'])} images; "
        f"PMSM at one timestep differs from it in {integer(figures['differences'])} values"
    )
    if figures["integer"]:
        widest = max(width["sum_bits"] for width in figures["integer"]["widths"])
        accuracy = recognised(figures["integer"]["accuracy"], decimals=2)
        console().print(f"integer form at one timestep: {accuracy}, sums of at most {widest} bits")
