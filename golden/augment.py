"""Random changes of training images, functions of a generator."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def augment(
    images: Tensor, *, generator: torch.Generator, mirror: bool = True, rotation: float = 0.0, zoom: float = 0.0
) -> Tensor:
    """Random crops of images padded by 1/8 of their height, uint8 [B, ..., H, W] in and out.

    With `mirror` half of them are mirrored. `rotation`, in degrees, and `zoom`, a share of the size, are the most by
    which each is turned, either way, and made larger or smaller about its middle; pixels are the nearest ones.
    """
    count, height, width = len(images), *images.shape[-2:]
    planes, padding = images.reshape(count, -1, height, width), height // 8
    padded = F.pad(planes, (padding,) * 4)
    top, left = (torch.randint(2 * padding + 1, (count, 1), generator=generator) for _ in range(2))
    mirrored = torch.randint(2, (count, 1), generator=generator).bool() & mirror
    rows = top + torch.arange(height)
    columns = torch.where(mirrored, torch.arange(width - 1, -1, -1), torch.arange(width)) + left
    image = torch.arange(count).view(-1, 1, 1, 1)
    plane = torch.arange(planes.shape[1]).view(1, -1, 1, 1)
    cropped = padded[image, plane, rows.view(count, 1, -1, 1), columns.view(count, 1, 1, -1)]
    return _turn(cropped, generator, rotation, zoom).reshape(images.shape)


def _turn(planes: Tensor, generator: torch.Generator, rotation: float, zoom: float) -> Tensor:
    """Turn and scale [B, C, H, W]."""
    if not rotation and not zoom:
        return planes
    turns, sizes = (2 * torch.rand(len(planes), generator=generator) - 1 for _ in range(2))
    angle, scale = torch.deg2rad(rotation * turns), 1 + zoom * sizes
    cosine, sine, still = torch.cos(angle) / scale, torch.sin(angle) / scale, torch.zeros(len(planes))
    rows = (torch.stack([cosine, -sine, still], dim=1), torch.stack([sine, cosine, still], dim=1))
    grid = F.affine_grid(torch.stack(rows, dim=1), list(planes.shape), align_corners=False)
    return F.grid_sample(planes.float(), grid.to(planes.device), mode="nearest", align_corners=False).to(planes.dtype)


RAND_GROUP = 16
"""Images that have the same changes: the library chooses them for a batch, and their strength for an image."""


def rand_augment(images: Tensor, *, operations: int, magnitude: int, generator: torch.Generator) -> Tensor:
    """RandAugment (E. D. Cubuk et al., 2020): some changes of colour or shape, chosen at random, uint8 [B, 3, H, W] in
    and out; the magnitude is 1 to 30."""
    # The library takes seconds to load.
    from kornia.augmentation.auto import RandAugment

    change, groups = RandAugment(n=operations, m=magnitude), (images.cpu().float() / 255).split(RAND_GROUP)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        changed = torch.cat([change(group) for group in groups])
    return (255 * changed).round().clamp(0, 255).to(torch.uint8).to(images.device)


def erase(images: Tensor, *, share: float, generator: torch.Generator) -> Tensor:
    """A rectangle of random pixels in this share of the images, uint8 [B, ..., H, W] in and out (Z. Zhong et al., AAAI
    2020): between an eighth and a half of each side, anywhere inside."""
    count, (height, width) = len(images), images.shape[-2:]
    chosen = torch.rand(count, generator=generator) < share
    rows = _spans(count, height, generator)
    columns = _spans(count, width, generator)
    noise = torch.randint(256, images.shape, generator=generator, dtype=torch.uint8).to(images.device)
    inside = (chosen[:, None, None] & rows[:, :, None] & columns[:, None, :]).to(images.device)
    inside = inside.reshape(count, *[1] * (images.dim() - 3), height, width)
    return torch.where(inside, noise, images)


def _spans(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Whether a position along one side is in the rectangle, bool [count, size]."""
    lengths = torch.randint(max(1, size // 8), size // 2 + 1, (count,), generator=generator)
    first = (torch.rand(count, generator=generator) * (size - lengths + 1)).long()
    place = torch.arange(size)
    return (place >= first[:, None]) & (place < (first + lengths)[:, None])


def mix(images: Tensor, *, alpha: float, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Every image uint8 [B, C, H, W] with some of another one, whole numbers again (mixup, H. Zhang et al., ICLR 2018).

    Returns the images, the places [B] of the others, and the share that is left of the first, a number for the batch,
    drawn from the beta distribution of (alpha, alpha).
    """
    seed = int(torch.randint(2**31, (1,), generator=generator))
    share = float(np.random.default_rng(seed).beta(alpha, alpha))
    other = torch.randperm(len(images), generator=generator).to(images.device)
    mixed = (share * images.float() + (1 - share) * images[other].float()).round().to(torch.uint8)
    return mixed, other, torch.tensor(share)
