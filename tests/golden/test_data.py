"""CIFAR-10 in its official layout, the bundled images, and fitting images."""

import pickle

import numpy as np
import pytest
import torch

from golden.config import CONFIGS
from golden.data import (
    CLASS_NAMES,
    ENVIRONMENT,
    ImageSet,
    check_images,
    choose_bundled,
    find_data,
    fit_images,
    load_bundled,
    load_cifar10,
    save_bundled,
)
from golden.errors import SaformerError


@pytest.fixture
def folder(tmp_path):
    """Six batches of 20 images in the official layout; pixel value = label."""
    inside = tmp_path / "cifar-10-batches-py"
    inside.mkdir()
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        labels = [index % 10 for index in range(20)]
        pixels = np.repeat(np.array(labels, dtype=np.uint8)[:, None], 3072, axis=1)
        (inside / name).write_bytes(pickle.dumps({b"data": pixels, b"labels": labels}, protocol=2))
    return tmp_path


def test_splits(folder):
    train, test = load_cifar10("train", folder), load_cifar10("test", folder / "cifar-10-batches-py")
    assert (len(train), len(test)) == (100, 20)
    assert train.images.shape == (100, 3, 32, 32)
    assert torch.equal(train.images[:, 2, 31, 31].long(), train.labels)
    with pytest.raises(SaformerError, match="split must be one of train, test, not 'dev'"):
        load_cifar10("dev", folder)


def test_planes_come_red_first(folder):
    path = folder / "cifar-10-batches-py" / "test_batch"
    pixels = np.arange(3072, dtype=np.int64).astype(np.uint8)[None]
    path.write_bytes(pickle.dumps({b"data": pixels, b"labels": [0]}, protocol=2))
    image = load_cifar10("test", folder).images[0]
    assert image[1, 2, 3] == (1024 + 2 * 32 + 3) % 256


def test_environment(folder, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, str(folder))
    assert find_data() == folder / "cifar-10-batches-py"


def test_missing_data(tmp_path, monkeypatch):
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    where = "download the CIFAR-10 python version from https://www.cs.toronto.edu/~kriz/cifar.html"
    with pytest.raises(SaformerError, match=f"no CIFAR-10 data given: {where}"):
        load_cifar10("test")
    with pytest.raises(SaformerError, match=f"no CIFAR-10 data in .*: {where}"):
        load_cifar10("test", tmp_path)


def test_damaged_batches(folder):
    (folder / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(SaformerError, match="data_batch_3 is missing: download"):
        load_cifar10("train", folder)
    path = folder / "cifar-10-batches-py" / "test_batch"
    for content in (b"", b"garbage", path.read_bytes()[:5000], pickle.dumps({b"labels": []}), pickle.dumps([1])):
        path.write_bytes(content)
        with pytest.raises(SaformerError, match="test_batch is not a CIFAR-10 batch"):
            load_cifar10("test", folder)


def test_a_batch_cannot_run_code(folder, tmp_path):
    path = folder / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(b"cos\nmkdir\n(V" + str(tmp_path / "made").encode() + b"\ntR.")
    with pytest.raises(SaformerError, match=r"is not a CIFAR-10 batch \(unexpected os.mkdir\)"):
        load_cifar10("test", folder)
    assert not (tmp_path / "made").exists()


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
