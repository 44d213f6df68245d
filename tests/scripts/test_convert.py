"""``saformer convert``: from training to the figures, again from the same folder, and bad input."""

import hashlib
import json

import pytest
import torch

import scripts.convert
import scripts.train
from golden.container import load_container
from golden.data import fit_set, load_bundled
from scripts.cli import main

TOML = 'name = "mini"\ndim = 8\ndepth = 1\nimage_size = 8\npool_stages = [4]\nheads = 2\n'
COMMAND = ["convert", "mini.toml", "--epochs", "1", "1", "--batch", "10", "--validation", "20", "--images", "30"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a small configuration, where the bundled images are those to train on."""
    (tmp_path / "mini.toml").write_text(TOML)
    monkeypatch.delenv("SAFORMER_DATA", raising=False)
    monkeypatch.setattr(scripts.convert, "load_training", lambda model, data: fit_set(load_bundled(), model))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("network", ["vgg", "saformer"])
def test_from_training_to_the_figures(folder, network, capsys):
    assert main([*COMMAND, "--network", network, "--levels", "3", "--negative-levels", "1", "--timesteps", "1,3"]) == 0
    record = json.loads((folder / "results" / "convert" / "conversion.json").read_text())
    assert record["conversion"] == {"network": network, "negative_levels": 1, "span": 2.0, "images": 256}
    assert record["model"]["neuron"] == "pmsm"
    assert record["model"]["levels"] == 3
    assert record["differences"] == 0
    assert [row["timesteps"] for row in record["results"]] == [1, 3, 1, 3, 1, 3]
    assert [entry["stage"] for entry in record["history"]] == ["quantised", "adjusted"]
    shown = capsys.readouterr().out
    assert "PMSM at one timestep differs from it in 0 values" in shown
    assert "integer form at one timestep" in shown


def test_a_trained_network_is_taken_again(folder, monkeypatch):
    assert main(COMMAND) == 0
    path = folder / "results" / "convert" / "conversion.json"
    first = json.loads(path.read_text())
    monkeypatch.setattr(torch.optim.AdamW, "step", None)
    assert main(COMMAND) == 0
    assert json.loads(path.read_text()) == first
    # Another choice is another network: it does not go on with this one.
    assert main([*COMMAND, "--negative-levels", "1"]) == 2


def test_a_difference_is_an_error(folder, monkeypatch):
    monkeypatch.setattr(scripts.convert, "report", lambda *_, **__: FIGURES | {"differences": 3})
    assert main(COMMAND) == 1


FIGURES = {"quantisers": [], "results": [], "accuracy": 0.5, "images": 30, "integer": None}


@pytest.mark.parametrize("steps", ["", "0,1", "1,x", "65"])
def test_impossible_timesteps(folder, steps, capsys):
    assert main([*COMMAND, "--timesteps", steps]) == 2
    assert "--timesteps takes numbers from 1 to 64 with commas between" in capsys.readouterr().err
    assert not (folder / "results").exists()


def test_missing_data(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("SAFORMER_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["convert", "tiny", "--out", "out"]) == 2
    assert "CIFAR-10" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_it_teaches(folder, monkeypatch, capsys):
    """What was trained here is a teacher for `saformer train`, if it sees the same images."""
    assert main(COMMAND) == 0
    monkeypatch.setattr(scripts.train, "load_training", lambda model, data: fit_set(load_bundled(), model))
    taught = ["train", "mini.toml", "--fast", "--batch", "10", "--validation", "20", "--out", "student"]
    assert main([*taught, "--teacher", "results/convert"]) == 0
    record = load_container(folder / "student" / "mini.safetensors").training["plan"]
    assert record["teacher"] == hashlib.sha256((folder / "results/convert/checkpoint.pt").read_bytes()).hexdigest()
    capsys.readouterr()
    (folder / "large.toml").write_text(TOML.replace("image_size = 8", "image_size = 16").replace("mini", "large"))
    assert main(["train", "large.toml", "--teacher", "results/convert"]) == 2
    assert "the teacher in results/convert has image_size = 8, and large has 16" in capsys.readouterr().err
    assert main([*taught, "--teacher", "elsewhere"]) == 2
    assert "elsewhere holds no network that was trained" in capsys.readouterr().err
    (folder / "results/convert/conversion.json").write_text("{}")
    assert main([*taught, "--teacher", "results/convert"]) == 2
    assert "results/convert holds a damaged network" in capsys.readouterr().err
