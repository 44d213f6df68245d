"""Event-camera recordings as binary frames: N-MNIST in its official layout, and random frames."""

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from golden.config import Input, ModelConfig
from golden.data import ENVIRONMENT, NO_LABEL, ImageSet, select_range
from golden.errors import SaformerError

BUNDLED_RECORDINGS = Path(__file__).resolve().parent.parent / "models" / "nmnist"
"""One recording of each digit, of the test split (N-MNIST, G. Orchard et al., 2015, CC BY-SA 4.0)."""

SENSOR_SIZE = 34
"""Side of N-MNIST's (square) sensor."""

RANDOM_RATE = 10
"""Percent of the pixels of a random frame that had an event."""

_CLASSES = 10
_EVENT_BYTES = 5
_EVENT = np.dtype([(name, np.int64) for name in ("x", "y", "t", "p")])
_SPLITS = {"train": "Train", "test": "Test"}
_WHERE = (
    "download Train.zip and Test.zip of N-MNIST from https://www.garrickorchard.com/datasets/n-mnist, unpack them into "
    f"one folder, and pass it with --data or {ENVIRONMENT}"
)


def read_events(path: Path) -> np.ndarray:
    """The events of one recording in the order of the file: int64 [K, 4] of x, y, polarity and microseconds.

    Raises SaformerError: no such file, a file that was cut off, or events outside the sensor.
    """
    # Here, because it loads two dozen packages, and only recordings need it.
    from tonic.io import read_mnist_file

    try:
        if (size := path.stat().st_size) % _EVENT_BYTES:
            raise SaformerError(f"{path} is not an N-MNIST recording ({size} bytes, events have 5): {_WHERE}")
        events = read_mnist_file(str(path), dtype=_EVENT)
    except OSError as error:
        raise SaformerError(f"cannot read {path} ({error.strerror}): {_WHERE}") from None
    rows = np.stack([events[name] for name in ("x", "y", "p", "t")], axis=1)
    if rows[:, :2].max(initial=0) >= SENSOR_SIZE:
        raise SaformerError(f"{path} is not an N-MNIST recording (events must lie in 34 x 34 pixels): {_WHERE}")
    return rows


def frames_of(events: np.ndarray, *, timesteps: int) -> Tensor:
    """Frames uint8 [timesteps, 2, 34, 34] of a recording.

    The time from 0 to the last event is cut into slices of equal duration, whenever the first event comes; a pixel is 1
    if it had at least one event of the channel's polarity (0, 1) in the slice. Without events all frames are empty.
    """
    x, y, polarity, time = events.T
    step = time * timesteps // (time.max(initial=0) + 1)
    frames = torch.zeros(timesteps, 2, SENSOR_SIZE, SENSOR_SIZE, dtype=torch.uint8)
    frames[step, polarity, y, x] = 1
    return frames


def place_frames(frames: Tensor, *, size: int) -> Tensor:
    """Frames [..., H, W] in the middle of a grid of `size` x `size`, with zeros around them.

    Raises SaformerError: the grid is smaller than the frames.
    """
    height, width = frames.shape[-2:]
    if size < max(height, width):
        raise SaformerError(
            f"recordings of {height} x {width} pixels do not fit a model of {size} x {size}; "
            f"use one whose image_size is at least {max(height, width)}"
        )
    top, left = (size - height) // 2, (size - width) // 2
    return F.pad(frames, (left, size - width - left, top, size - height - top))


def find_recordings(data: str | Path | None = None) -> Path:
    """The folder that holds Train and Test: `data`, or what SAFORMER_DATA names, or the folder nmnist inside it.

    Raises SaformerError, saying where to get the data.
    """
    given = data if data is not None else os.environ.get(ENVIRONMENT)
    if not given:
        raise SaformerError(f"no N-MNIST data given: {_WHERE}")
    for folder in (Path(given), Path(given) / "nmnist"):
        if (folder / _SPLITS["test"]).is_dir():
            return folder
    raise SaformerError(f"no N-MNIST data in {given}: {_WHERE}")


def list_recordings(split: str, data: str | Path | None = None) -> list[tuple[Path, int]]:
    """Files and digits of the "train" or "test" split, digits interleaved, so that any prefix is balanced.

    Raises SaformerError: no such split, or no recordings.
    """
    if split not in _SPLITS:
        raise SaformerError(f"split must be one of {', '.join(_SPLITS)}, not {split!r}")
    folder = find_recordings(data) / _SPLITS[split]
    files = [
        (place, digit, path)
        for digit in range(_CLASSES)
        for place, path in enumerate(sorted((folder / str(digit)).glob("*.bin")))
    ]
    if not files:
        raise SaformerError(f"no recordings in {folder}: {_WHERE}")
    return [(path, digit) for _place, digit, path in sorted(files)]


def load_recordings(
    config: ModelConfig,
    split: str,
    data: str | Path | None = None,
    *,
    first: int = 0,
    count: int | None = None,
) -> ImageSet:
    """`count` recordings from number `first` on (all of them without `count`), as frames for a configuration.

    An index is the recording's number in its file name. Raises SaformerError: no such split, no readable data, not that
    many recordings, or a configuration that takes no frames of this kind.
    """
    if config.input is not Input.EVENTS or config.in_channels != 2:
        raise SaformerError("recordings have two polarities: the model must have input = events and in_channels = 2")
    files = list_recordings(split, data)
    chosen = [files[number] for number in select_range(len(files), first=first, count=count)]
    frames = [
        place_frames(frames_of(read_events(path), timesteps=config.timesteps), size=config.image_size)
        for path, _digit in chosen
    ]
    return ImageSet(
        images=torch.stack(frames),
        labels=torch.tensor([digit for _path, digit in chosen]),
        indices=torch.tensor([int(path.stem) for path, _digit in chosen]),
    )


def takes_recordings(config: ModelConfig) -> bool:
    """Whether a model is one for N-MNIST: two polarities, ten classes, and room for the sensor."""
    fits = config.in_channels == 2 and config.image_size >= SENSOR_SIZE
    return config.input is Input.EVENTS and fits and config.classes == _CLASSES


def random_frames(config: ModelConfig, count: int, *, seed: int = 0, first: int = 0) -> ImageSet:
    """Frames in which every pixel has an event with the same probability, without labels.

    Frame `first + k` is a function of the seed and its number alone.
    """
    shape = (config.timesteps, config.in_channels, config.image_size, config.image_size)
    indices = torch.arange(first, first + count)
    frames = torch.stack([_random_frame(shape, 1_000_003 * seed + index) for index in indices.tolist()])
    return ImageSet(images=frames, labels=torch.full((count,), NO_LABEL), indices=indices)


def _random_frame(shape: tuple[int, ...], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.randint(100, shape, generator=generator) < RANDOM_RATE).to(torch.uint8)
