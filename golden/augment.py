"""Random changes of training images, functions of a generator."""

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
