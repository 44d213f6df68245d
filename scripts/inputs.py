"""What commands read: the one way of naming a model, and the images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from golden.calibrate import init_model
from golden.config import CONFIGS, Input, ModelConfig, load_config
from golden.container import BUNDLED_MODELS, digest, find_model, load_container
from golden.data import ENVIRONMENT, ImageSet, fit_set, load_bundled
from golden.datasets import images_of
from golden.datasets import load_images as load_split
from golden.errors import SaformerError
from golden.events import BUNDLED_RECORDINGS, load_recordings, random_frames, recordings_of, takes_recordings
from golden.integer import IntegerModel

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A bundled model (tiny, micro, events), a file written by train or init, or a configuration: a name "
        "(4-384, mini, 2-512, 2-256) or a TOML file, which means an untrained model with seed 0.",
    ),
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        envvar=ENVIRONMENT,
        help="Folder with the published data that fit the model: CIFAR-10, CIFAR-100, Fashion-MNIST, N-MNIST, "
        "DVS128-Gesture or CIFAR10-DVS. Without it, the 100 images or 10 recordings that come with the project, or "
        "random frames.",
    ),
]
RandomFrames = Annotated[
    bool, typer.Option("--random", help="Random frames of events, even where a data folder is given; event input only.")
]
ImageCount = Annotated[int, typer.Option(metavar="K", min=1, help="Number of images.")]
FirstImage = Annotated[int, typer.Option(metavar="I", min=0, help="Number of the first image.")]
FinishedPoints = Annotated[
    Path, typer.Option(metavar="FILE", help="Finished points; a run that was cut off goes on from there.")
]
JsonFile = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures as JSON.")]


RANDOM_FRAMES = 10
"""Random inputs where a command does not say how many: they never end."""


@dataclass(frozen=True)
class NamedModel:
    """A model, what it is to be called (file or configuration), its SHA-256, and whether it was trained."""

    model: IntegerModel
    name: str
    digest: str
    trained: bool


def resolve_model(name: str) -> NamedModel:
    """Return the model that a command line names.

    A bundled name comes first, then a file, then the name of a configuration. Raises SaformerError when it is none of
    them, or cannot be used.
    """
    if Path(name).suffix == ".toml":
        return untrained(load_config(name), seed=0)
    is_bundled = (BUNDLED_MODELS / f"{name}.safetensors").is_file()
    if not is_bundled and not Path(name).is_file():
        if name in CONFIGS:
            return untrained(CONFIGS[name], seed=0)
        bundled = ", ".join(sorted(path.stem for path in BUNDLED_MODELS.glob("*.safetensors"))) or "none"
        raise SaformerError(
            f"no model {name!r}: name a bundled one ({bundled}), a file written by `saformer train` or "
            f"`saformer init`, or a configuration ({', '.join(CONFIGS)}, or a TOML file)"
        )
    container = load_container(find_model(name))
    return NamedModel(container.model, name, container.digest, trained=bool(container.training))


def find_config(name: str) -> ModelConfig:
    """Return the configuration of the model that a command line names. Raises SaformerError as `resolve_model` does."""
    is_configuration = name in CONFIGS or Path(name).suffix == ".toml"
    return load_config(name) if is_configuration else resolve_model(name).model.config


def untrained(config: ModelConfig, *, seed: int, percent: int | None = None) -> NamedModel:
    """Return a random model of a configuration, calibrated on the bundled images or on random frames of events.

    ``percent`` is the rate at which all its neurons fire, if not a realistic one each.
    """
    model = init_model(config, seed=seed, percent=percent)
    return NamedModel(model, f"{config.name}, untrained, seed {seed}", digest(config, model.tensors), trained=False)


def load_images(
    config: ModelConfig,
    data: Path | None,
    *,
    split: str = "test",
    first: int = 0,
    count: int | None = None,
    random: bool = False,
) -> ImageSet:
    """Return images that fit a configuration, from the data folder or, without one, from the bundled images.

    Where the input is events these are recordings, the bundled ones without a folder, or, for a model that is not one
    for them or on request, ``random`` frames.
    Raises SaformerError when there are not that many, no readable data, or random pixels are asked for.
    """
    if config.input is Input.EVENTS:
        if random or (data is None and not takes_recordings(config)):
            return random_frames(config, count or RANDOM_FRAMES, first=first)
        return load_recordings(config, split, BUNDLED_RECORDINGS if data is None else data, first=first, count=count)
    if random:
        raise SaformerError(f"random frames are for models with event input, and {config.name} takes images")
    images = load_bundled() if data is None else load_split(config, split, data)
    chosen = images.select(first=first, count=count)
    return fit_set(chosen, config)


def training_words(config: ModelConfig, data: Path | None) -> str:
    """Return what a configuration is trained on, for the record."""
    return (recordings_of if config.input is Input.EVENTS else images_of)(config, data).words


def load_training(config: ModelConfig, data: Path | None) -> ImageSet:
    """Return the training split that a configuration takes, images brought to its size.

    Raises SaformerError when there is no readable data.
    """
    if config.input is Input.EVENTS:
        return load_recordings(config, "train", data)
    return fit_set(load_split(config, "train", data), config)
