"""The bundled images, and fitting images."""

import pytest
import torch

from golden.config import CONFIGS
from golden.data import (
    CLASS_NAMES,
    ImageSet,
    check_images,
    choose_bundled,
    fit_images,
    load_bundled,
    save_bundled,
)
from golden.errors import SaformerError


def test_bundled_images(bundled):
    assert bundled.images.shape == (100, 3, 32, 32)
    assert bundled.images.dtype == torch.uint8
    assert bundled.labels.tolist() == list(range(10)) * 10
    assert len(set(bundled.indices.tolist())) == 100
    assert len(CLASS_NAMES) == 10
    check_images(CONFIGS["tiny"], bundled.images)


def test_choosing_and_saving(bundled, tmp_path, monkeypatch):
    shuffled = bundled.take(torch.randperm(100, generator=torch.Generator().manual_seed(1)))
    chosen = choose_bundled(shuffled, per_class=3)
    assert chosen.labels.tolist() == list(range(10)) * 3
    save_bundled(chosen, tmp_path / "some.npz")
    monkeypatch.setattr("golden.data.BUNDLED_IMAGES", tmp_path / "some.npz")
    loaded = load_bundled()
    assert torch.equal(loaded.images, chosen.images)
    assert torch.equal(loaded.indices, chosen.indices)


def test_select(bundled):
    some = bundled.select(first=5, count=3)
    assert torch.equal(some.indices, bundled.indices[5:8])
    assert len(bundled.select(first=90)) == 10
    for first, count in ((0, 101), (99, 2), (-1, 2), (0, 0)):
        with pytest.raises(SaformerError, match=rf"{count} images from number {first} on .* has 100; ask for fewer"):
            bundled.select(first=first, count=count)


def test_fit_images(bundled):
    images = bundled.images[:4]
    assert torch.equal(fit_images(images, channels=3, size=32), images)
    gray = fit_images(images, channels=1, size=32)
    assert torch.equal(gray[:, 0], (images.int().sum(dim=1) // 3).to(torch.uint8))
    assert torch.equal(fit_images(images, channels=3, size=16), images[:, :, ::2, ::2])
    large = fit_images(images, channels=2, size=64)
    assert torch.equal(large[:, 1, ::2, 1::2], gray[:, 0])


def test_image_set_takes_positions():
    images = ImageSet(images=torch.arange(4).reshape(4, 1, 1, 1), labels=torch.arange(4), indices=torch.arange(4) + 10)
    assert images.take(torch.tensor([2, 0])).indices.tolist() == [12, 10]
