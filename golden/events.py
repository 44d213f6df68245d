"""Event-camera recordings as binary frames: N-MNIST, DVS128-Gesture and CIFAR10-DVS, and random frames."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from golden.config import Input, ModelConfig
from golden.data import CLASS_NAMES, NO_LABEL, ImageSet, select_range
from golden.errors import SaformerError
from golden.sources import Source, choose_source

BUNDLED_RECORDINGS = Path(__file__).resolve().parent.parent / "models" / "nmnist"
"""One recording of each digit, of the test split (N-MNIST, G. Orchard et al., 2015, CC BY-SA 4.0)."""

RANDOM_RATE = 10
"""Percent of the pixels of a random frame that had an event."""

_EVENT_BYTES = 5
_EVENT = np.dtype([(name, np.int64) for name in ("x", "y", "t", "p")])


@dataclass(frozen=True, kw_only=True)
class Recordings(Source):
    """A data set of an event camera, whose official split is two folders, or which has none.

    Members
    -------
    side: of the (square) sensor, in pixels.
    splits: the folder of each split; empty where both are chosen from one.
    """

    side: int
    splits: Mapping[str, str]

    def _is(self, folder: Path) -> bool:
        return any((folder / split).is_dir() for split in self.splits.values())

    def files(self, split: str, data: str | Path | None = None) -> list[tuple[Path, int]]:
        """Files and labels of the "train" or "test" split, labels interleaved, so that any prefix is balanced.

        Raises SaformerError: no such split, or no recordings.
        """
        if split not in self.splits:
            raise SaformerError(f"split must be one of {', '.join(self.splits)}, not {split!r}")
        folder = self.find(data) / self.splits[split]
        places = {label: 0 for label in range(self.classes)}
        files = []
        for path, label in self._chosen(folder, split):
            files.append((places[label], label, path))
            places[label] += 1
        if not files:
            raise SaformerError(f"no recordings in {folder}: {self.how}")
        return [(path, label) for _place, label, path in sorted(files)]

    def _chosen(self, folder: Path, _split: str) -> list[tuple[Path, int]]:
        """The recordings of a split, in a fixed order, with their labels."""
        return self._recordings(folder)

    def read(self, path: Path) -> np.ndarray:
        """The events of one recording in the order of the file: int64 [K, 4] of x, y, polarity and microseconds.

        Raises SaformerError: no such file, a damaged file, or events outside the sensor.
        """
        try:
            rows = self._read(path)
        except OSError as error:
            raise SaformerError(f"cannot read {path} ({error.strerror}): {self.how}") from None
        if len(rows) and not (rows.min() >= 0 and rows[:, :2].max() < self.side and rows[:, 2].max() <= 1):
            raise self._wrong(path, f"events must lie in {self.side} x {self.side} pixels, with polarity 0 or 1")
        return rows

    def _wrong(self, path: Path, why: object) -> SaformerError:
        return SaformerError(f"{path} is not a recording of {self.title} ({why}): {self.how}")

    def number(self, path: Path) -> int:
        """The number of a recording, its index."""
        return int(path.stem)

    @abstractmethod
    def _recordings(self, folder: Path) -> list[tuple[Path, int]]:
        """All recordings in a folder, in a fixed order, with their labels."""

    @abstractmethod
    def _read(self, path: Path) -> np.ndarray:
        """The events. Raises OSError, and SaformerError for a file of another format."""


class _Nmnist(Recordings):
    """A folder for each digit, and in it a file for each recording, 40 bits an event."""

    def _recordings(self, folder: Path) -> list[tuple[Path, int]]:
        return [(path, digit) for digit in range(self.classes) for path in sorted((folder / str(digit)).glob("*.bin"))]

    def _read(self, path: Path) -> np.ndarray:
        # Here, because it loads two dozen packages, and only recordings need it.
        from tonic.io import read_mnist_file

        if (size := path.stat().st_size) % _EVENT_BYTES:
            raise self._wrong(path, f"{size} bytes, events have {_EVENT_BYTES}")
        events = read_mnist_file(str(path), dtype=_EVENT)
        return np.stack([events[name] for name in ("x", "y", "p", "t")], axis=1)


class _Gesture(Recordings):
    """A folder for each user and lighting, and in it an array for each gesture: x, y, polarity and milliseconds."""

    def _recordings(self, folder: Path) -> list[tuple[Path, int]]:
        files = [path for path in sorted(folder.glob("user*/*.npy")) if path.stem.isdigit()]
        return [(path, int(path.stem)) for path in files if int(path.stem) < self.classes]

    def _read(self, path: Path) -> np.ndarray:
        try:
            events = np.load(path, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise self._wrong(path, error) from None
        if events.ndim != 2 or events.shape[1] != 4:
            raise self._wrong(path, "no rows of four numbers")
        return events.astype(np.int64) * (1, 1, 1, 1000)

    def number(self, path: Path) -> int:
        """User and gesture: 2403 is gesture 3 of user 24."""
        user = path.parent.name.removeprefix("user").partition("_")[0]
        return 100 * int(user) + int(path.stem)


class _Cifar10Dvs(Recordings):
    """A folder for each class, and in it a file for each recording: AEDAT 2.0, pairs of an address and a time.

    There is no official split: of every class a tenth, chosen at random by `SPLIT_SEED`, is the test split.
    """

    def _is(self, folder: Path) -> bool:
        return any((folder / name).is_dir() for name in CLASS_NAMES)

    def _recordings(self, folder: Path) -> list[tuple[Path, int]]:
        return [
            (path, label)
            for label, name in enumerate(CLASS_NAMES)
            for path in sorted((folder / name).glob("*.aedat"), key=self.number)
        ]

    def _chosen(self, folder: Path, split: str) -> list[tuple[Path, int]]:
        found = self._recordings(folder)
        chosen = []
        for label in range(self.classes):
            own = [entry for entry in found if entry[1] == label]
            order = torch.randperm(len(own), generator=torch.Generator().manual_seed(SPLIT_SEED + label)).tolist()
            held_out = set(order[: len(own) // TEST_SHARE])
            chosen += [entry for place, entry in enumerate(own) if (place in held_out) == (split == "test")]
        return chosen

    def _read(self, path: Path) -> np.ndarray:
        from tonic.io import get_aer_events_from_file

        with path.open("rb") as file:
            version, start = file.readline(), 0
            # Comment lines before the events; an event does not begin with their sign, for its upper bits are 0.
            line = version
            while line.startswith(b"#"):
                start, line = start + len(line), file.readline()
        size = path.stat().st_size - start
        if not version.startswith(b"#!AER-DAT2.") or size % 8:
            raise self._wrong(path, f"{size} bytes of events, and AEDAT 2 has 8 for each")
        events = get_aer_events_from_file(str(path), 2.0, start)
        address, time = (events[name].astype(np.int64) for name in ("address", "timeStamp"))
        # The camera was mounted upside down, and its rows are columns.
        x, y = 127 - (address >> 8 & 127), 127 - (address >> 1 & 127)
        return np.stack([x, y, 1 - (address & 1), time - (time.min() if len(time) else 0)], axis=1)

    @property
    def words(self) -> str:
        """With the split, which is not an official one."""
        return f"{self.title}, one of {TEST_SHARE} recordings of each class held out for testing by seed {SPLIT_SEED}"

    def number(self, path: Path) -> int:
        """The number behind the last underscore of its name."""
        number = path.stem.rpartition("_")[2]
        return int(number) if number.isdigit() else -1


SPLIT_SEED, TEST_SHARE = 0, 10
"""Of the split of CIFAR10-DVS: the seed, and one recording of how many is tested on."""

NMNIST = _Nmnist(
    title="N-MNIST",
    side=34,
    classes=10,
    folder="nmnist",
    splits={"train": "Train", "test": "Test"},
    where="download Train.zip and Test.zip of N-MNIST from https://www.garrickorchard.com/datasets/n-mnist, "
    "unpack them into one folder",
)
GESTURE = _Gesture(
    title="DVS128-Gesture",
    side=128,
    classes=11,
    folder="dvsgesture",
    splits={"train": "ibmGestureTrain", "test": "ibmGestureTest"},
    where="let tonic.datasets.DVSGesture download DVS128-Gesture",
)


CIFAR10_DVS = _Cifar10Dvs(
    title="CIFAR10-DVS",
    side=128,
    classes=10,
    folder="cifar10-dvs",
    splits={"train": "", "test": ""},
    where="download the ten archives of CIFAR10-DVS from https://doi.org/10.6084/m9.figshare.4724671, unpack them into "
    "one folder",
)
LARGE = 64
"""Side of the smallest network of ten classes that is taken for one for CIFAR10-DVS, if the folder has that."""


def frames_of(events: np.ndarray, *, timesteps: int, side: int) -> Tensor:
    """Frames uint8 [timesteps, 2, side, side] of a recording.

    The time from 0 to the last event is cut into slices of equal duration, whenever the first event comes; a pixel is 1
    if it had at least one event of the channel's polarity (0, 1) in the slice. Without events all frames are empty.
    """
    x, y, polarity, time = events.T
    step = time * timesteps // (time.max(initial=0) + 1)
    frames = torch.zeros(timesteps, 2, side, side, dtype=torch.uint8)
    frames[step, polarity, y, x] = 1
    return frames


def place_frames(frames: Tensor, *, size: int) -> Tensor:
    """Frames [..., S, S] brought to `size` x `size`: in the middle of a larger grid, or with their pixels merged.

    A merged pixel is 1 if any of its pixels is. Raises SaformerError where the smaller size does not divide S.
    """
    side = frames.shape[-1]
    if size < side:
        if side % size:
            raise SaformerError(
                f"recordings of {side} x {side} pixels do not fit a model of {size} x {size}; "
                f"use one whose image_size is at least {side}, or divides it"
            )
        return frames.unflatten(-1, (size, -1)).unflatten(-3, (size, -1)).amax(dim=(-3, -1))
    before = (size - side) // 2
    after = size - side - before
    return F.pad(frames, (before, after, before, after))


def recordings_of(config: ModelConfig, data: str | Path | None = None) -> Recordings:
    """The data set that a network takes by its classes and its size.

    DVS128-Gesture for 11 classes, CIFAR10-DVS for 64x64 pixels and more, and otherwise N-MNIST; that also where the
    folder has it and not the one that fits better.
    """
    fitting = CIFAR10_DVS if config.image_size >= LARGE else NMNIST
    return choose_source(GESTURE if config.classes == GESTURE.classes else fitting, NMNIST, data)


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
    source = recordings_of(config, data)
    files = source.files(split, data)
    chosen = [files[number] for number in select_range(len(files), first=first, count=count)]
    frames = [
        place_frames(frames_of(source.read(path), timesteps=config.timesteps, side=source.side), size=config.image_size)
        for path, _label in chosen
    ]
    return ImageSet(
        images=torch.stack(frames),
        labels=torch.tensor([label for _path, label in chosen]),
        indices=torch.tensor([source.number(path) for path, _label in chosen]),
    )


def takes_recordings(config: ModelConfig) -> bool:
    """Whether a model is one for N-MNIST: two polarities, ten classes, and room for the sensor."""
    fits = config.in_channels == 2 and config.image_size >= NMNIST.side
    return config.input is Input.EVENTS and fits and config.classes == NMNIST.classes


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
