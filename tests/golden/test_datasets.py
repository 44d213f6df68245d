"""Data sets in their official layouts, in small files that are written here."""

import dataclasses
import gzip
import pickle

import numpy as np
import pytest
import torch

from golden.config import CONFIGS
from golden.data import ENVIRONMENT
from golden.datasets import CIFAR10, CIFAR100, FASHION_MNIST, load_images
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
    train, test = CIFAR10.load("train", folder), CIFAR10.load("test", folder / "cifar-10-batches-py")
    assert (len(train), len(test)) == (100, 20)
    assert train.images.shape == (100, 3, 32, 32)
    assert torch.equal(train.images[:, 2, 31, 31].long(), train.labels)
    with pytest.raises(SaformerError, match="split must be one of train, test, not 'dev'"):
        CIFAR10.load("dev", folder)


def test_planes_come_red_first(folder):
    path = folder / "cifar-10-batches-py" / "test_batch"
    pixels = np.arange(3072, dtype=np.int64).astype(np.uint8)[None]
    path.write_bytes(pickle.dumps({b"data": pixels, b"labels": [0]}, protocol=2))
    image = CIFAR10.load("test", folder).images[0]
    assert image[1, 2, 3] == (1024 + 2 * 32 + 3) % 256


def test_environment(folder, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, str(folder))
    assert CIFAR10.find() == folder / "cifar-10-batches-py"


def test_missing_data(tmp_path, monkeypatch):
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    where = "download the CIFAR-10 python version from https://www.cs.toronto.edu/~kriz/cifar.html"
    with pytest.raises(SaformerError, match=f"no CIFAR-10 data given: {where}"):
        CIFAR10.load("test")
    with pytest.raises(SaformerError, match=f"no CIFAR-10 data in .*: {where}"):
        CIFAR10.load("test", tmp_path)


def test_damaged_batches(folder):
    (folder / "cifar-10-batches-py" / "data_batch_3").unlink()
    with pytest.raises(SaformerError, match="data_batch_3 is missing: download"):
        CIFAR10.load("train", folder)
    path = folder / "cifar-10-batches-py" / "test_batch"
    for content in (b"", b"garbage", path.read_bytes()[:5000], pickle.dumps({b"labels": []}), pickle.dumps([1])):
        path.write_bytes(content)
        with pytest.raises(SaformerError, match="test_batch is not a CIFAR-10 batch"):
            CIFAR10.load("test", folder)


def test_a_batch_cannot_run_code(folder, tmp_path):
    path = folder / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(b"cos\nmkdir\n(V" + str(tmp_path / "made").encode() + b"\ntR.")
    with pytest.raises(SaformerError, match=r"is not a CIFAR-10 batch \(unexpected os.mkdir\)"):
        CIFAR10.load("test", folder)
    assert not (tmp_path / "made").exists()


@pytest.fixture
def hundred(tmp_path):
    """CIFAR-100: 30 training and 20 test images."""
    inside = tmp_path / "cifar-100-python"
    inside.mkdir()
    for name, count in (("train", 30), ("test", 20)):
        fine = [(7 * index) % 100 for index in range(count)]
        pixels = np.repeat(np.array(fine, dtype=np.uint8)[:, None], 3072, axis=1)
        batch = {b"data": pixels, b"fine_labels": fine, b"coarse_labels": [label // 5 for label in fine]}
        (inside / name).write_bytes(pickle.dumps(batch, protocol=2))
    return tmp_path


def test_cifar100(hundred):
    test = CIFAR100.load("test", hundred)
    assert (len(CIFAR100.load("train", hundred)), len(test)) == (30, 20)
    assert test.labels.tolist() == [(7 * index) % 100 for index in range(20)]
    assert torch.equal(test.images[:, 1, 0, 0].long(), test.labels)
    path = hundred / "cifar-100-python" / "test"
    path.write_bytes(pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"fine_labels": [100]}))
    with pytest.raises(SaformerError, match="test split of CIFAR-100 has labels that do not fit its images"):
        CIFAR100.load("test", hundred)


def idx(values):
    """The bytes of an idx file of unsigned bytes."""
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()


@pytest.fixture
def fashion(tmp_path):
    """Fashion-MNIST: 12 training images as they are, 6 test images compressed."""
    inside = tmp_path / "fashion-mnist"
    inside.mkdir()
    for prefix, count, pack, suffix in (("train", 12, bytes, ""), ("t10k", 6, gzip.compress, ".gz")):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 3, 4] = labels
        (inside / f"{prefix}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(images)))
        (inside / f"{prefix}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(labels)))
    return tmp_path


def test_fashion_mnist(fashion):
    train, test = (FASHION_MNIST.load(split, fashion) for split in ("train", "test"))
    assert (train.images.shape, test.images.shape) == ((12, 1, 28, 28), (6, 1, 28, 28))
    assert torch.equal(test.images[:, 0, 3, 4].long(), test.labels)


def test_damaged_idx_files(fashion):
    folder = fashion / "fashion-mnist"
    path = folder / "train-images-idx3-ubyte"
    whole = path.read_bytes()
    for content in (b"", whole[:10], whole[:-1], whole + b"0", idx(np.zeros((12, 28), np.uint8))):
        path.write_bytes(content)
        with pytest.raises(SaformerError, match="train-images-idx3-ubyte is not a file of 3 axes of bytes: download"):
            FASHION_MNIST.load("train", fashion)
    packed = folder / "t10k-labels-idx1-ubyte.gz"
    content = packed.read_bytes()
    for damaged in (b"garbage", content[:-9], content[:12] + b"00000" + content[17:]):
        packed.write_bytes(damaged)
        with pytest.raises(SaformerError, match=r"t10k-labels-idx1-ubyte.gz cannot be unpacked"):
            FASHION_MNIST.load("test", fashion)
    packed.unlink()
    with pytest.raises(SaformerError, match="t10k-labels-idx1-ubyte is missing"):
        FASHION_MNIST.load("test", fashion)


def test_a_network_takes_the_data_set_that_fits(folder, hundred, fashion):
    tiny = CONFIGS["tiny"]
    sizes = {3: 20, 1: 6}
    for channels, count in sizes.items():
        assert len(load_images(dataclasses.replace(tiny, in_channels=channels), "test", folder)) == count
    assert load_images(dataclasses.replace(tiny, classes=100), "test", hundred).labels.max() > 9
    # What is there, where nothing else is.
    (fashion / "fashion-mnist" / "t10k-images-idx3-ubyte.gz").unlink()
    assert load_images(dataclasses.replace(tiny, in_channels=1), "test", folder).images.shape[1] == 3
    with pytest.raises(SaformerError, match="no CIFAR-100 data in"):
        load_images(dataclasses.replace(tiny, classes=100), "test", folder / "fashion-mnist")
