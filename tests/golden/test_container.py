"""The container: what is written is read, and every kind of damage is named."""

import json

import pytest
import safetensors.torch
import torch

from golden.calibrate import init_model
from golden.container import digest, find_model, load_container, load_model, save_model
from golden.errors import SaformerError


@pytest.fixture
def model(small):
    return init_model(small, seed=1)


@pytest.fixture
def path(model, tmp_path):
    """A good container."""
    save_model(model, tmp_path / "good.safetensors", training={"history": [{"loss": 1.5}]})
    return tmp_path / "good.safetensors"


def read(path):
    """Tensors and the record of a container, with the library alone."""
    with safetensors.safe_open(path, framework="pt") as file:
        return safetensors.torch.load_file(path), json.loads(file.metadata()["saformer"])


def write(path, tensors, record):
    safetensors.torch.save_file(tensors, path, metadata={"saformer": json.dumps(record)})


def rewrite(path, *, tensors=None, record=None):
    """Change some tensors or some of the record, leaving the rest, the hash included, as it is."""
    old_tensors, old_record = read(path)
    write(path, old_tensors | (tensors or {}), old_record | (record or {}))


def test_round_trip(model, path):
    container = load_container(path)
    assert container.model.config == model.config
    assert container.training == {"history": [{"loss": 1.5}]}
    assert container.digest == digest(model.config, model.tensors)
    assert set(container.model.tensors) == set(model.tensors)
    assert all(torch.equal(container.model.tensors[name], model.tensors[name]) for name in model.tensors)


def test_same_model_same_bytes(model, path, tmp_path):
    save_model(model, tmp_path / "again.safetensors", training={"history": [{"loss": 1.5}]})
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_every_choice_survives(variant, tmp_path):
    save_model(init_model(variant, seed=1), tmp_path / "model.safetensors")
    assert load_model(tmp_path / "model.safetensors").config == variant


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_truncated(path, kept):
    data = path.read_bytes()
    path.write_bytes(data[:kept])
    with pytest.raises(SaformerError, match="is not a complete SAFormer model"):
        load_container(path)


def test_not_a_container(path, tmp_path):
    path.write_text("hello, this is no model")
    with pytest.raises(SaformerError, match="is not a complete SAFormer model"):
        load_container(path)
    safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(SaformerError, match="is not a SAFormer model; write one"):
        load_container(tmp_path / "other.safetensors")
    with pytest.raises(SaformerError, match="is not a complete SAFormer model"):
        load_container(tmp_path)


def test_other_version(path):
    rewrite(path, record={"version": 7})
    with pytest.raises(SaformerError, match="has container version 7, this program reads version 2"):
        load_container(path)


def test_one_bit_flipped(path):
    tensors, _ = read(path)
    weight = tensors["conv3.weight"].clone()
    weight[1, 0, 2, 2] ^= 1
    rewrite(path, tensors={"conv3.weight": weight})
    with pytest.raises(SaformerError, match="its SHA-256 is not the one it was written with"):
        load_container(path)


def test_changed_configuration(path):
    _, record = read(path)
    rewrite(path, record={"config": record["config"] | {"reset": "soft"}})
    with pytest.raises(SaformerError, match="its SHA-256 is not the one"):
        load_container(path)


def test_missing_and_misshapen_tensors(path):
    rewrite(path, tensors={"conv2.bias": torch.zeros(3, dtype=torch.int32)})
    with pytest.raises(SaformerError, match=r"conv2\.bias must be int32 \[4\], not int32 \[3\]"):
        load_container(path)
    tensors, record = read(path)
    del tensors["conv2.bias"]
    write(path, tensors, record)
    with pytest.raises(SaformerError, match=r"has no tensor conv2\.bias"):
        load_container(path)


@pytest.mark.parametrize("config", [[], None, {"name": "x", "dim": "wide"}, {"name": "x", "colour": 1}, {"dim": 8}])
def test_damaged_configuration(path, config):
    message = "must be a table|dim must be|unknown model setting|has no name"
    rewrite(path, record={"config": config})
    with pytest.raises(SaformerError, match=message):
        load_container(path)


def test_damaged_record(path):
    tensors, record = read(path)
    del record["sha256"]
    write(path, tensors, record)
    with pytest.raises(SaformerError, match=r"has damaged metadata \('sha256'\)"):
        load_container(path)
    safetensors.torch.save_file(tensors, path, metadata={"saformer": "{"})
    with pytest.raises(SaformerError, match="has damaged metadata"):
        load_container(path)


def test_names(path):
    assert find_model(path) == path
    with pytest.raises(SaformerError, match="no model 'huge': name a bundled one"):
        load_model("huge")


def test_unwritable(model, tmp_path):
    with pytest.raises(SaformerError, match=r"cannot write .*; choose a folder that exists"):
        save_model(model, tmp_path / "missing" / "model.safetensors")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SaformerError, match=r"cannot write"):
        save_model(model, tmp_path / "folder")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]
