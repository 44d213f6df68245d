"""Sets of images, those that come with the project, and fitting them to a network."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from golden.config import Input, ModelConfig
from golden.errors import SaformerError
from golden.files import write_atomically

ENVIRONMENT = "SAFORMER_DATA"
BUNDLED_IMAGES = Path(__file__).resolve().parent.parent / "models" / "cifar10-100.npz"
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
NO_LABEL = -1


def select_range(total: int, *, first: int = 0, count: int | None = None) -> range:
    """The numbers of `count` of `total` images from `first` on (all of them without `count`).

    Raises SaformerError: there are not that many.
    """
    count = total - first if count is None else count
    if first < 0 or count < 1 or first + count > total:
        raise SaformerError(
            f"{count} images from number {first} on were asked for, but the data set has {total}; ask for fewer"
        )
    return range(first, first + count)


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Images uint8 [K, C, H, W] or frames of events uint8 [K, T, C, H, W]; labels int64 [K], or `NO_LABEL` where there
    is no truth; and their indices int64 [K] in the split they come from."""

    images: Tensor
    labels: Tensor
    indices: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def select(self, *, first: int = 0, count: int | None = None) -> "ImageSet":
        """`count` images from `first` on (all of them without `count`).

        Raises SaformerError: the set does not have that many.
        """
        return self.take(torch.as_tensor(select_range(len(self), first=first, count=count)))

    def take(self, chosen: Tensor) -> "ImageSet":
        """The images at these positions, int64 [K]."""
        return ImageSet(images=self.images[chosen], labels=self.labels[chosen], indices=self.indices[chosen])

    def to(self, device: str) -> "ImageSet":
        """The same on a device of torch."""
        return ImageSet(**{name: value.to(device) for name, value in vars(self).items()})


def load_bundled() -> ImageSet:
    """The 100 images of the test split that come with the project, ten of each class, classes interleaved."""
    with np.load(BUNDLED_IMAGES, allow_pickle=False) as file:
        return ImageSet(**{key: torch.from_numpy(file[key]) for key in ("images", "labels", "indices")})


def choose_bundled(test: ImageSet, *, per_class: int = 10) -> ImageSet:
    """The first `per_class` images of every class of `test`, classes interleaved."""
    by_class = [torch.nonzero(test.labels == label).flatten()[:per_class] for label in range(len(CLASS_NAMES))]
    return test.take(torch.stack(by_class, dim=1).flatten())


def save_bundled(images: ImageSet, path: Path) -> None:
    """Write what `load_bundled` reads."""
    arrays = {key: getattr(images, key).numpy() for key in ("images", "labels", "indices")}
    write_atomically(path, lambda file: np.savez_compressed(file, **arrays))


def check_images(config: ModelConfig, images: Tensor) -> None:
    """Raises SaformerError unless `images` is what the configuration takes: pixels or frames, of its shape."""
    events, size = config.input is Input.EVENTS, config.image_size
    shape = (*((config.timesteps,) if events else ()), config.in_channels, size, size)
    if images.dtype != torch.uint8 or images.ndim != len(shape) + 1 or tuple(images.shape[1:]) != shape:
        raise SaformerError(
            f"the model takes uint8 {'frames' if events else 'images'} of shape [K, {', '.join(map(str, shape))}], "
            f"not {str(images.dtype).removeprefix('torch.')} {list(images.shape)}"
        )
    if events and images.numel() and int(images.max()) > 1:
        raise SaformerError(
            f"frames of events hold 0 and 1, not {int(images.max())}; set a pixel that had an event to 1"
        )


def fit_images(images: Tensor, *, channels: int, size: int) -> Tensor:
    """Images uint8 [K, C, H, W] brought to [K, channels, size, size].

    Sizes change by nearest-neighbour sampling, colours by repeating the mean over the channels, so that real images
    can drive a model of another input shape.
    """
    if images.shape[1] != channels:
        mean = images.to(torch.int32).sum(dim=1, keepdim=True) // images.shape[1]
        images = mean.to(torch.uint8).expand(-1, channels, -1, -1)
    if tuple(images.shape[2:]) != (size, size):
        rows = torch.arange(size) * images.shape[2] // size
        columns = torch.arange(size) * images.shape[3] // size
        images = images[:, :, rows][:, :, :, columns]
    return images.contiguous()


def fit_set(images: ImageSet, config: ModelConfig) -> ImageSet:
    """Images brought to the size and the channels of a configuration."""
    return replace(images, images=fit_images(images.images, channels=config.in_channels, size=config.image_size))
