"""``saformer golden``: the integer model on many images."""

from typing import Annotated

import typer

from golden.evaluate import evaluate
from scripts.inputs import DataFolder, JsonFile, ModelName, RandomFrames, load_images, resolve_model
from scripts.outputs import ensure_writable, write_json
from scripts.tables import console, integer, millijoule, percent, recognised, table


def golden(
    model: ModelName = "tiny",
    data: DataFolder = None,
    split: Annotated[str, typer.Option(help="Part of the data set: test or train.")] = "test",
    images: Annotated[int | None, typer.Option(metavar="K", min=1, help="Only the first K images.")] = None,
    random: RandomFrames = False,
    json: JsonFile = None,
) -> None:
    """Run the integer model: accuracy, firing rates, accumulates, energy by the paper's formula."""
    ensure_writable(json)
    named = resolve_model(model)
    chosen = load_images(named.model.config, data, split=split, count=images, random=random)
    figures = evaluate(named.model, chosen.images, chosen.labels, progress=True)
    if json is not None:
        write_json(json, figures)
    _print(named.name, figures)


def _print(name: str, figures: dict) -> None:
    """Print the figures of an evaluation, per image where they are counts."""
    out, count = console(), figures["images"]
    rows = [
        (
            layer["name"],
            percent(layer["firing_rate"]),
            integer(layer["spikes"] / count),
            integer(layer["events"] / count),
            integer(layer["sops"] / count),
            integer(layer["sops_dense_estimate"] / count),
        )
        for layer in figures["layers"]
    ]
    out.print(table(("layer", "input rate", "spikes", "events", "accumulates", "fr x T x FLOPs"), rows))
    energy = figures["energy_mj"]
    out.print(f"model      {name}; counts are per image")
    out.print(f"accuracy   {recognised(figures['accuracy'], decimals=2)} of {integer(count)} images")
    masks = ", ".join(f"{percent(rate)} in {block}" for block, rate in figures["mask_rate"].items())
    if masks:
        out.print(f"masks      that fire, of channels and timesteps: {masks}")
    out.print(f"speed      {figures['images_per_second']:.1f} images a second")
    out.print(
        f"energy     {millijoule(energy['eq19'])} per image by eq. 19 from executed accumulates, "
        f"{millijoule(energy['eq19_dense_estimate'])} from fr x T x FLOPs"
    )
    out.print(f"           the paper: {energy['paper']} mJ ({energy['paper_network']} on {energy['paper_data']})")
