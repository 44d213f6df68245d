"""Recordings in their published layouts, their frames, random frames, and models that take them."""

import dataclasses

import numpy as np
import pytest
import torch

from golden.augment import augment
from golden.calibrate import init_model
from golden.config import CONFIGS
from golden.container import digest
from golden.counts import count
from golden.data import ENVIRONMENT, NO_LABEL
from golden.errors import SaformerError
from golden.evaluate import evaluate
from golden.events import (
    CIFAR10_DVS,
    GESTURE,
    NMNIST,
    frames_of,
    load_recordings,
    place_frames,
    random_frames,
    recordings_of,
)
from golden.integer import run
from golden.layers import LayerKind
from golden.model import SAFormer

EVENTS = dataclasses.replace(CONFIGS["2-256"], name="events", dim=16, depth=1, timesteps=4, image_size=36, windows=9)


def packed(events):
    """The bytes of events (x, y, polarity, microseconds), by the published format."""
    words = [x << 32 | y << 24 | polarity << 23 | time for x, y, polarity, time in events]
    return b"".join(word.to_bytes(5, "big") for word in words)


def recording(number):
    """Two hundred events that start late, at random places; the first and the last are known."""
    rng = np.random.default_rng(number)
    times = np.sort(rng.integers(1000, 300_000, 200))
    places = rng.integers(0, 34, (200, 2))
    events = [(int(x), int(y), int(rng.integers(2)), int(t)) for (x, y), t in zip(places, times, strict=True)]
    return [(33, 0, 1, 700), *events, (0, 33, 0, 300_000)]


@pytest.fixture
def folder(tmp_path):
    """Three test recordings of every digit but the 7, which has two, in the official layout."""
    number = 60_000
    for digit in range(10):
        place = tmp_path / "nmnist" / "Test" / str(digit)
        place.mkdir(parents=True)
        for _ in range(2 if digit == 7 else 3):
            number += 1
            (place / f"{number}.bin").write_bytes(packed(recording(number)))
    return tmp_path


def test_format(tmp_path):
    path = tmp_path / "one.bin"
    path.write_bytes(bytes([3, 33, 0x80 | 0x12, 0x34, 0x56, 33, 4, 0x7F, 0xFF, 0xFF]))
    assert NMNIST.read(path).tolist() == [[3, 33, 1, 0x123456], [33, 4, 0, 2**23 - 1]]


def test_time_overflows(tmp_path):
    path = tmp_path / "one.bin"
    path.write_bytes(packed([(1, 1, 0, 8000), (0, 240, 0, 0), (2, 2, 1, 5), (0, 240, 0, 0), (3, 3, 0, 9)]))
    assert NMNIST.read(path).tolist() == [[1, 1, 0, 8000], [2, 2, 1, 5 + 2**13], [3, 3, 0, 9 + 2**14]]


def test_damaged_recordings(tmp_path):
    path = tmp_path / "one.bin"
    whole = packed([(1, 1, 0, 1), (2, 2, 1, 2)])
    cut_off = [whole[:length] for length in range(1, len(whole)) if length != 5]
    for content in (*cut_off, packed([(34, 0, 0, 1)]), packed([(0, 34, 0, 1)]), packed([(1, 1, 0, 1), (0, 255, 0, 2)])):
        path.write_bytes(content)
        with pytest.raises(SaformerError, match=r"is not a recording of N-MNIST .*: download Train.zip and Test.zip"):
            NMNIST.read(path)
    with pytest.raises(SaformerError, match=r"cannot read .*none.bin .*: download Train.zip"):
        NMNIST.read(tmp_path / "none.bin")


@pytest.mark.parametrize("timesteps", [1, 3, 4, 16])
def test_frames_by_hand(timesteps):
    events = recording(1)
    expected = np.zeros((timesteps, 2, 34, 34), int)
    for x, y, polarity, time in events:
        expected[time * timesteps // (300_000 + 1), polarity, y, x] = 1
    frames = frames_of(np.array(events), timesteps=timesteps, side=34)
    assert frames.dtype == torch.uint8
    assert np.array_equal(frames.numpy(), expected)
    assert frames[0, 1, 0, 33] == frames[-1, 0, 33, 0] == 1


def test_odd_recordings(tmp_path):
    path = tmp_path / "one.bin"

    def frames(events):
        path.write_bytes(packed(events))
        return frames_of(NMNIST.read(path), timesteps=4, side=34)

    # None, or an overflow of the time alone: empty frames.
    for events in ([], [(0, 240, 0, 1)]):
        assert frames(events).shape == (4, 2, 34, 34)
        assert not frames(events).any()
    # One stays, and ends the recording.
    alone = frames([(5, 6, 1, 900)])
    assert (alone.sum(), alone[3, 1, 6, 5]) == (1, 1)
    assert frames([(5, 6, 1, 0)])[0, 1, 6, 5] == 1
    # A late first event: the slices before it are empty.
    late = frames([(0, 0, 0, 700), (33, 33, 1, 999)])
    assert [int(frame.sum()) for frame in late] == [0, 0, 1, 1]
    # Shorter than there are slices.
    assert [int(frame.sum()) for frame in frames([(0, 0, 0, 0), (1, 0, 0, 1)])] == [1, 0, 1, 0]


def test_place_frames():
    frames = torch.ones(3, 2, 34, 34, dtype=torch.uint8)
    placed = place_frames(frames, size=64)
    assert placed.shape == (3, 2, 64, 64)
    assert torch.equal(placed[..., 15:49, 15:49], frames)
    assert placed.sum() == frames.sum()
    assert place_frames(frames, size=37)[0, 0, 1:35, 1:35].all()
    assert torch.equal(place_frames(frames, size=34), frames)
    with pytest.raises(
        SaformerError, match=r"34 x 34 pixels do not fit a model of 32 x 32; .* at least 34, or divides it"
    ):
        place_frames(frames, size=32)


def test_recordings(folder, monkeypatch):
    files = NMNIST.files("test", folder)
    assert [digit for _path, digit in files] == [*range(10), *range(10), *(digit for digit in range(10) if digit != 7)]
    chosen = load_recordings(EVENTS, "test", folder / "nmnist", first=10, count=3)
    assert chosen.labels.tolist() == [0, 1, 2]
    assert chosen.indices.tolist() == [60_002, 60_005, 60_008]
    expected = place_frames(frames_of(np.array(recording(60_005)), timesteps=4, side=34), size=36)
    assert torch.equal(chosen.images[1], expected)
    monkeypatch.setenv(ENVIRONMENT, str(folder))
    assert NMNIST.find() == folder / "nmnist"
    assert len(load_recordings(EVENTS, "test")) == 29


@pytest.fixture
def gestures(tmp_path):
    """DVS128-Gesture as tonic unpacks it: two users, three gestures each."""
    rng = np.random.default_rng(1)
    for user in ("user24_led", "user25_lab"):
        place = tmp_path / "dvsgesture" / "ibmGestureTest" / user
        place.mkdir(parents=True)
        for gesture in (0, 4, 10):
            times = np.sort(rng.integers(0, 6000, 50))
            events = np.stack([*rng.integers(0, 128, (2, 50)), rng.integers(0, 2, 50), times], axis=1)
            np.save(place / f"{gesture}.npy", events.astype(np.float64))
        (place / "notes.npy").touch()
    return tmp_path


def test_gestures(gestures):
    config = CONFIGS["2-256"]
    chosen = load_recordings(config, "test", gestures)
    assert chosen.labels.tolist() == [0, 4, 10, 0, 4, 10]
    assert chosen.indices.tolist() == [2400, 2404, 2410, 2500, 2504, 2510]
    events = np.load(gestures / "dvsgesture" / "ibmGestureTest" / "user24_led" / "4.npy").astype(int)
    expected = np.zeros((16, 2, 64, 64), int)
    for x, y, polarity, time in events:
        expected[time * 1000 * 16 // (events[:, 3].max() * 1000 + 1), polarity, y // 2, x // 2] = 1
    assert np.array_equal(chosen.images[1].numpy(), expected)
    # Eleven classes, but no gestures at hand.
    with pytest.raises(SaformerError, match=r"no DVS128-Gesture data in .*: let tonic"):
        load_recordings(config, "test", gestures / "dvsgesture" / "ibmGestureTest")


def test_damaged_gestures(gestures):
    path = gestures / "dvsgesture" / "ibmGestureTest" / "user24_led" / "4.npy"
    whole = path.read_bytes()
    for content in (b"", whole[:60], whole[:-8]):
        path.write_bytes(content)
        with pytest.raises(SaformerError, match=r"4.npy is not a recording of DVS128-Gesture \("):
            GESTURE.read(path)
    for wrong in (np.zeros((3, 5)), np.array([[128, 0, 0, 1]]), np.array([[0, 0, 2, 1]]), np.array([[0, -1, 0, 1]])):
        np.save(path, wrong)
        with pytest.raises(SaformerError, match=r"4.npy is not a recording of DVS128-Gesture \("):
            GESTURE.read(path)
    np.save(path, np.zeros((0, 4)))
    assert not frames_of(GESTURE.read(path), timesteps=4, side=128).any()


def test_missing_recordings(folder, tmp_path, monkeypatch):
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    where = "download Train.zip and Test.zip of N-MNIST from https://www.garrickorchard.com/datasets/n-mnist"
    with pytest.raises(SaformerError, match=f"no N-MNIST data given: {where}"):
        NMNIST.files("test")
    with pytest.raises(SaformerError, match=f"no N-MNIST data in .*: {where}"):
        NMNIST.files("test", tmp_path / "elsewhere")
    with pytest.raises(SaformerError, match=f"no recordings in .*Train: {where}"):
        NMNIST.files("train", folder)
    with pytest.raises(SaformerError, match="split must be one of train, test, not 'dev'"):
        NMNIST.files("dev", folder)
    with pytest.raises(SaformerError, match=r"3 images from number 28 on .* has 29; ask for fewer"):
        load_recordings(EVENTS, "test", folder, first=28, count=3)
    for wrong in (CONFIGS["tiny"], dataclasses.replace(EVENTS, in_channels=3)):
        with pytest.raises(SaformerError, match="recordings have two polarities: the model must have input = events"):
            load_recordings(wrong, "test", folder)


def test_random_frames():
    frames = random_frames(EVENTS, 3, seed=5)
    assert frames.images.shape == (3, 4, 2, 36, 36)
    assert frames.labels.tolist() == [NO_LABEL] * 3
    assert 0.09 < float(frames.images.float().mean()) < 0.11
    assert torch.equal(frames.images[1:], random_frames(EVENTS, 2, seed=5, first=1).images)
    assert not torch.equal(frames.images, random_frames(EVENTS, 3, seed=6).images)


def test_calibration(folder):
    recordings = load_recordings(EVENTS, "test", folder).images
    assert digest(EVENTS, init_model(EVENTS, seed=1).tensors) == digest(
        EVENTS, init_model(EVENTS, seed=1, images=random_frames(EVENTS, 8).images).tensors
    )
    for frames in (random_frames(EVENTS, 4, first=50).images, recordings[8:]):
        images = None if frames.float().mean() > 0.09 else recordings
        model = init_model(EVENTS, seed=1, images=images)
        for layer in count(EVENTS, frames, run(model, frames)).layers[1:-2]:
            if layer.layer.kind is not LayerKind.MIX:
                assert 0.02 < layer.firing_rate < 0.5, layer.layer.name
    with pytest.raises(SaformerError, match=r"frames of shape \[K, 4, 2, 36, 36\]"):
        init_model(EVENTS, seed=1, images=recordings[:, :3])


def test_figures_without_labels():
    frames = random_frames(EVENTS, 3)
    result = evaluate(init_model(EVENTS, seed=1), frames.images, frames.labels, batch=2)
    assert result["accuracy"] is None
    assert result["layers"][0]["firing_rate"] == pytest.approx(float(frames.images.float().mean()))


def test_fewer_timesteps_merge_frames():
    config = dataclasses.replace(EVENTS, timesteps=5)
    frames = random_frames(config, 2).images
    model = SAFormer(config).eval()
    merged = torch.stack([frames[:, :3].amax(dim=1), frames[:, 3:].amax(dim=1)], dim=1)
    with torch.no_grad():
        expected = SAFormer.forward(model, merged.float(), 2)
        assert torch.equal(model(frames.float(), 2), expected)
        assert model(frames.float()).shape == (5, 2, 11)


def test_frames_are_augmented_together():
    frames = random_frames(EVENTS, 3).images
    result = augment(frames, generator=torch.Generator().manual_seed(2))
    assert result.shape == frames.shape
    flat = augment(frames.flatten(1, 2), generator=torch.Generator().manual_seed(2))
    assert torch.equal(result.flatten(1, 2), flat)


def aedat(events, *, version="2.0"):
    """A file of AEDAT 2.0: comment lines, then big-endian pairs of an address and microseconds."""
    header = f"#!AER-DAT{version}\r\n# This is a raw AE data file\r\n# End of header\r\n".encode()
    words = [((127 - x) << 8 | (127 - y) << 1 | (1 - polarity), time) for x, y, polarity, time in events]
    return header + b"".join(number.to_bytes(4, "big") for pair in words for number in pair)


def objects(number):
    """A hundred events of a large sensor, of which the first is not at time 0."""
    rng = np.random.default_rng(number)
    times = np.sort(rng.integers(0, 90_000, 100)) + 5000
    places = rng.integers(0, 128, (100, 2))
    return [(int(x), int(y), int(rng.integers(2)), int(t)) for (x, y), t in zip(places, times, strict=True)]


@pytest.fixture
def dvs(tmp_path):
    """Twenty recordings of airplanes and ten of ships, in the official layout."""
    for name, total in (("airplane", 20), ("ship", 10)):
        place = tmp_path / "cifar10-dvs" / name
        place.mkdir(parents=True)
        for number in range(total):
            (place / f"cifar10_{name}_{number}.aedat").write_bytes(aedat(objects(number)))
    return tmp_path


def test_cifar10_dvs(dvs):
    config = dataclasses.replace(CONFIGS["2-256"], classes=10, timesteps=4)
    test = load_recordings(config, "test", dvs)
    train = load_recordings(config, "train", dvs)
    assert (len(test), len(train)) == (3, 27)
    assert sorted(test.labels.tolist()) == [0, 0, 8]
    pairs = [
        {(int(label), int(index)) for label, index in zip(part.labels, part.indices, strict=True)}
        for part in (test, train)
    ]
    assert not pairs[0] & pairs[1]
    assert len(pairs[0] | pairs[1]) == 30
    # Again the same, and numbers are numbers: 10 comes after 9.
    assert load_recordings(config, "test", dvs / "cifar10-dvs").indices.tolist() == test.indices.tolist()
    events = objects(int(test.indices[0]))
    expected = np.zeros((4, 2, 64, 64), int)
    first, last = events[0][3], events[-1][3]
    for x, y, polarity, time in events:
        expected[(time - first) * 4 // (last - first + 1), polarity, y // 2, x // 2] = 1
    assert np.array_equal(test.images[0].numpy(), expected)


def test_damaged_objects(dvs):
    path = dvs / "cifar10-dvs" / "ship" / "cifar10_ship_3.aedat"
    whole = path.read_bytes()
    for content in (b"", b"nothing", whole[:-3], aedat(objects(1), version="3.1")):
        path.write_bytes(content)
        with pytest.raises(SaformerError, match=r"cifar10_ship_3.aedat is not a recording of CIFAR10-DVS \("):
            CIFAR10_DVS.read(path)
    path.write_bytes(aedat([]))
    assert not frames_of(CIFAR10_DVS.read(path), timesteps=4, side=128).any()


def test_only_n_mnist_at_hand(folder):
    """A large network of ten classes takes it, in the middle of its input."""
    large = dataclasses.replace(EVENTS, image_size=64, classes=10, windows=4)
    assert load_recordings(large, "test", folder, count=1).images.shape == (1, 4, 2, 64, 64)


def test_what_a_model_is_trained_on(dvs, folder):
    large = dataclasses.replace(EVENTS, image_size=64, classes=10, windows=4)
    words = "CIFAR10-DVS, one of 10 recordings of each class held out for testing by seed 0"
    assert recordings_of(large, dvs / "cifar10-dvs").words == words
    assert recordings_of(EVENTS, folder).words == "N-MNIST"
