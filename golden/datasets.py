"""Image data sets in the layouts in which they are published: CIFAR-10, CIFAR-100 and Fashion-MNIST."""

import gzip
import math
import pickle
import zlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from golden.config import ModelConfig
from golden.data import BUNDLED_IMAGES, ImageSet, choose_bundled, save_bundled
from golden.errors import SaformerError
from golden.sources import Source, choose_source

_PICKLE_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class _ArrayUnpickler(pickle.Unpickler):
    """Loads dictionaries of arrays and nothing else: a pickle from outside must not run code."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _PICKLE_NAMES:
            raise pickle.UnpicklingError(f"unexpected {module}.{name}")
        # The old name of the module still works in NumPy 2, but with a warning.
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


@dataclass(frozen=True, kw_only=True)
class Dataset(Source):
    """Labelled images with an official split.

    Members
    -------
    channels: of the images.
    marker: a file, compressed or not, by which the folder is recognised.
    """

    channels: int
    marker: str

    def _is(self, folder: Path) -> bool:
        return any((folder / name).is_file() for name in (self.marker, f"{self.marker}.gz"))

    def load(self, split: str, data: str | Path | None = None) -> ImageSet:
        """The "train" or "test" split. Raises SaformerError: no such split, or no readable data."""
        if split not in ("train", "test"):
            raise SaformerError(f"split must be one of train, test, not {split!r}")
        images, labels = self._read(self.find(data), split)
        if len(images) != len(labels) or (len(labels) and not 0 <= labels.min() <= labels.max() < self.classes):
            raise SaformerError(f"the {split} split of {self.title} has labels that do not fit its images: {self.how}")
        tensors = torch.from_numpy(np.array(images)), torch.from_numpy(labels.astype(np.int64))
        return ImageSet(images=tensors[0], labels=tensors[1], indices=torch.arange(len(labels)))

    @abstractmethod
    def _read(self, folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 [K, C, H, W] and labels [K] of a split."""


@dataclass(frozen=True, kw_only=True)
class PickledDataset(Dataset):
    """The "python version" of CIFAR: pickled dictionaries with planes of 32x32 pixels.

    `files` are those of each split, `labels` the key of the labels in them.
    """

    files: Mapping[str, Sequence[str]]
    labels: bytes

    def _read(self, folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
        batches = [self._batch(folder / name) for name in self.files[split]]
        images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        return images, labels

    def _batch(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        try:
            with path.open("rb") as file:
                batch = _ArrayUnpickler(file, encoding="bytes").load()
            pixels = np.asarray(batch[b"data"], dtype=np.uint8).reshape(-1, self.channels, 32, 32)
            return pixels, np.asarray(batch[self.labels], np.int64)
        except FileNotFoundError:
            raise SaformerError(f"{path} is missing: {self.how}") from None
        except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise SaformerError(f"{path} is not a {self.title} batch ({error}): {self.how}") from None


@dataclass(frozen=True, kw_only=True)
class IdxDataset(Dataset):
    """The format of MNIST (Y. LeCun): a magic number, the sizes, and bytes; as it is or compressed by gzip."""

    def _read(self, folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
        prefix = {"train": "train", "test": "t10k"}[split]
        images = self._file(folder, f"{prefix}-images-idx3-ubyte", axes=3)
        return images[:, None], self._file(folder, f"{prefix}-labels-idx1-ubyte", axes=1)

    def _file(self, folder: Path, name: str, *, axes: int) -> np.ndarray:
        path = folder / name
        packed = path.with_name(f"{name}.gz")
        try:
            raw = path.read_bytes() if path.is_file() else gzip.decompress(packed.read_bytes())
        except FileNotFoundError:
            raise SaformerError(f"{path} is missing: {self.how}") from None
        except (OSError, EOFError, zlib.error) as error:
            raise SaformerError(f"{packed} cannot be unpacked ({error}): {self.how}") from None
        start = 4 + 4 * axes
        magic, *sizes = np.frombuffer(raw[:start].ljust(start, b"\0"), ">u4").tolist()
        # 8: unsigned bytes.
        if magic != 8 << 8 | axes or len(raw) != start + math.prod(sizes):
            raise SaformerError(f"{path} is not a file of {axes} axes of bytes: {self.how}")
        return np.frombuffer(raw, np.uint8, offset=start).reshape(sizes)


_CIFAR = "https://www.cs.toronto.edu/~kriz/cifar.html"
CIFAR10 = PickledDataset(
    title="CIFAR-10",
    channels=3,
    classes=10,
    folder="cifar-10-batches-py",
    marker="test_batch",
    where=f"download the CIFAR-10 python version from {_CIFAR}, unpack it",
    files={"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]},
    labels=b"labels",
)
CIFAR100 = PickledDataset(
    title="CIFAR-100",
    channels=3,
    classes=100,
    folder="cifar-100-python",
    marker="test",
    where=f"download the CIFAR-100 python version from {_CIFAR}, unpack it",
    files={"train": ["train"], "test": ["test"]},
    labels=b"fine_labels",
)
FASHION_MNIST = IdxDataset(
    title="Fashion-MNIST",
    channels=1,
    classes=10,
    folder="fashion-mnist",
    marker="t10k-images-idx3-ubyte",
    where="download the four files of Fashion-MNIST from https://github.com/zalandoresearch/fashion-mnist",
)


def images_of(config: ModelConfig, data: str | Path | None = None) -> Dataset:
    """The data set that a network takes by its classes and channels: CIFAR-100, Fashion-MNIST or CIFAR-10.

    CIFAR-10 also where the folder has that and not the one that fits better.
    """
    fitting = CIFAR10
    if config.classes == CIFAR100.classes:
        fitting = CIFAR100
    elif config.in_channels == FASHION_MNIST.channels:
        fitting = FASHION_MNIST
    return choose_source(fitting, CIFAR10, data)


def load_images(config: ModelConfig, split: str, data: str | Path | None = None) -> ImageSet:
    """A split of the data set that `images_of` chooses. Raises SaformerError as `Dataset.load`."""
    return images_of(config, data).load(split, data)


if __name__ == "__main__":
    save_bundled(choose_bundled(CIFAR10.load("test")), BUNDLED_IMAGES)
