"""What commands read where no folder is given, and how a training is set up."""

import dataclasses
import json
import re

import pytest
import torch

import scripts.train
from golden.config import CONFIGS
from golden.container import load_container
from golden.data import NO_LABEL
from golden.events import BUNDLED_RECORDINGS, load_recordings
from golden.train import has_bfloat16
from scripts.cli import main
from scripts.inputs import load_images

SMALL = """
image_size = 8
dim = 8
depth = 1
timesteps = 2
pool_stages = [4]
"""


def test_bundled_recordings():
    config = dataclasses.replace(CONFIGS["events"], timesteps=3)
    chosen = load_images(config, None)
    assert chosen.labels.tolist() == list(range(10))
    assert torch.equal(chosen.images, load_recordings(config, "test", BUNDLED_RECORDINGS).images)
    assert all(0.01 < float(frames.float().mean()) < 0.3 for frames in chosen.images)
    # On request, and for a model of other classes, random frames.
    for frames in (load_images(config, None, random=True, count=2), load_images(CONFIGS["2-256"], None, count=2)):
        assert frames.labels.tolist() == [NO_LABEL] * 2


@pytest.mark.parametrize(
    ("options", "epochs", "changed", "rates"),
    [
        (
            ["--fast", "--bfloat16", "--randaugment", "2", "5"],
            [2, 1, 1],
            {"mirror": True, "bfloat16": True, "rand_operations": 2, "rand_magnitude": 5},
            [3e-3, 1e-3, 3e-4],
        ),
        (
            ["--epochs", "1", "2", "1", "--no-mirror", "--lr", "6e-3", "--float32"],
            [1, 2, 1],
            {"mirror": False, "bfloat16": False},
            [6e-3, 2e-3, 6e-4],
        ),
        (["--fast"], [2, 1, 1], {"bfloat16": has_bfloat16("cpu")}, [3e-3, 1e-3, 3e-4]),
    ],
    ids=["fast, bfloat16", "epochs, float32", "precision of the processor"],
)
def test_settings_of_a_training(tmp_path, monkeypatch, capsys, bundled, options, epochs, changed, rates):
    (tmp_path / "small.toml").write_text(SMALL)
    small = dataclasses.replace(bundled, images=bundled.images[..., ::4, ::4].contiguous())
    monkeypatch.setattr(scripts.train, "load_training", lambda config, data: small)
    command = ["train", str(tmp_path / "small.toml"), "--out", str(tmp_path), "--batch", "20", "--validation", "20"]
    assert main([*command, *options]) == 0
    printed = capsys.readouterr().out
    assert "80 images to train on and 20 held out, by seed 1; batches of 20" in printed
    assert ("bfloat16 until it is quantised" if changed["bfloat16"] else "float32") in printed
    for stage, steps in zip(("one-step", "all-steps", "quantised"), epochs, strict=True):
        assert re.search(rf"{stage} +[12] +{steps} +{4 * steps} +", printed)
    record = load_container(tmp_path / "small.safetensors").training
    assert [stage["epochs"] for stage in record["plan"]["stages"]] == epochs
    assert [stage["rate"] for stage in record["plan"]["stages"]] == rates
    assert changed.items() <= record["plan"].items()
    history = json.loads((tmp_path / "history.json").read_text())
    assert len(history) == sum(epochs)


def test_training_goes_on_from_a_model(tmp_path, monkeypatch, capsys, bundled):
    (tmp_path / "small.toml").write_text(SMALL)
    small = dataclasses.replace(bundled, images=bundled.images[..., ::4, ::4].contiguous())
    monkeypatch.setattr(scripts.train, "load_training", lambda config, data: small)
    path = tmp_path / "begin.safetensors"
    assert main(["init", str(tmp_path / "small.toml"), "--out", str(path)]) == 0
    (tmp_path / "low.toml").write_text(SMALL + "mix_threshold = 0.5")
    command = ["train", str(tmp_path / "low.toml"), "--out", str(tmp_path / "out"), "--start", str(path)]
    command += ["--batch", "20", "--validation", "20", "--lr", "0"]
    assert main([*command, "--epochs", "1", "0", "2"]) == 2
    assert "error: with --start there is only the last stage: use --epochs 0 0 2\n" in capsys.readouterr().err
    assert main([*command, "--epochs", "0", "0", "2"]) == 0
    begin, trained = load_container(path), load_container(tmp_path / "out" / "low.safetensors")
    assert trained.training["plan"]["start"] == begin.digest
    assert [(stage["name"], stage["epochs"]) for stage in trained.training["plan"]["stages"]] == [("quantised", 2)]
    # Nothing was learned at a rate of 0: only the threshold is another.
    changed = [name for name, tensor in begin.model.tensors.items() if not tensor.equal(trained.model.tensors[name])]
    assert changed == ["blocks.0.dwc.threshold"]


def test_what_has_no_integers_is_not_trained(tmp_path, capsys):
    (tmp_path / "real.toml").write_text('attention = "vsa"')
    assert main(["train", str(tmp_path / "real.toml"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("error: attention vsa is of real numbers")
    assert not (tmp_path / "out").exists()


def test_no_gpu(tmp_path, monkeypatch, bundled, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(scripts.train, "load_training", lambda config, data: bundled)
    command = ["train", "--out", str(tmp_path), "--batch", "20", "--validation", "20", "--device", "cuda"]
    assert main(command) == 2
    assert capsys.readouterr().err == "error: no CUDA device is there to train on cuda; use cpu\n"


def test_digits_are_not_mirrored(tmp_path, monkeypatch):
    plans = []
    monkeypatch.setattr(scripts.train, "outlook", lambda plan, **_settings: {})
    monkeypatch.setattr(scripts.train, "_show_outlook", lambda *_: None)
    monkeypatch.setattr(scripts.train, "load_training", lambda config, data: None)
    monkeypatch.setattr(scripts.train, "run_training", lambda plan, **_settings: (plans.append(plan), []))
    assert main(["train", "events", "--out", str(tmp_path)]) == 0
    assert [plan.mirror for plan in plans] == [False]
