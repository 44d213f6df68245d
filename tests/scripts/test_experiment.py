"""``saformer experiment``: variants are trained and measured, a run goes on, committed pages follow from their JSON."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

import golden.conversion.experiment
import golden.experiment
import golden.questions
import scripts.experiment
from golden.calibrate import init_model
from golden.config import ModelConfig
from golden.conversion.experiment import CONVERSION
from golden.data import fit_set, load_bundled
from golden.errors import SaformerError
from golden.evaluate import evaluate
from golden.experiment import Experiment, measure, measure_real
from golden.layers import layers
from golden.model import SAFormer
from golden.neurons.module import Neuron
from golden.plan import Stage
from golden.quantise import quantise
from golden.questions import QUESTIONS, find_experiment
from scripts.cli import main
from scripts.findings import findings_of

COMMITTED = Path(__file__).parents[2] / "docs" / "experiments"
SMALL = Experiment(
    name="small",
    question="Does it run?",
    variants={
        "high": {},
        "low, one step": {"aggregate_threshold": 0.25, "timesteps": 1},
        "no mask": {"attention": "sdsa"},
        "real": {"attention": "vsa"},
    },
    base=ModelConfig(name="small", image_size=8, dim=8, depth=1, timesteps=2, pool_stages=(4,)),
    stages=(
        Stage(name="all-steps", epochs=1, timesteps=2, rate=1e-3),
        Stage(name="quantised", epochs=1, timesteps=2, rate=1e-4, quantised=True),
    ),
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in which the experiment "small" runs on the bundled images, with two seeds."""
    monkeypatch.setattr(golden.experiment, "VALIDATION_IMAGES", 20)
    monkeypatch.setattr(golden.questions, "QUESTIONS", {"small": SMALL})
    monkeypatch.setattr(scripts.experiment, "SEEDS", (1, 2))
    for name, count in (("TRAINING_IMAGES", 180), ("TEST_IMAGES", 20)):
        monkeypatch.setattr(scripts.experiment, name, count)
    images = load_bundled()
    twice = dataclasses.replace(
        images,
        **{field: getattr(images, field).repeat_interleave(2, dim=0) for field in ("images", "labels", "indices")},
    )
    monkeypatch.setattr(scripts.experiment, "CIFAR10", SimpleNamespace(load=lambda split, data: twice))
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMMAND = ["experiment", "small", "--out", "docs", "--work", "work"]


def test_variants_are_trained_and_measured(folder, capsys):
    assert main(COMMAND) == 0
    record = json.loads((folder / "docs" / "small.json").read_text())
    assert [(run["variant"], run["seed"]) for run in record["runs"]] == [
        (variant, seed) for seed in (1, 2) for variant in SMALL.variants
    ]
    assert all(0 <= run["accuracy"] <= 1 and run["eq19_mj"] > 0 for run in record["runs"])
    assert all([entry["stage"] for entry in run["history"]] == ["all-steps", "quantised"] for run in record["runs"])
    assert "low, one step" in capsys.readouterr().out
    assert [run["accuracy_without_mask"] is None for run in record["runs"]] == 2 * [False, False, True, True]
    bits = [run["aggregate_bits"] for run in record["runs"][:4]]
    assert bits == [2 * 2 * 4 * 8, 2 * 1 * 4 * 8, None, None]
    assert (folder / "docs" / "small.svg").read_text().startswith("<svg")
    written = (folder / "docs" / "small.md").read_text()
    assert "mean and sample standard deviation over 2 seeds" in written


def test_a_run_that_was_cut_off_goes_on(folder, monkeypatch):
    calls, whole = [], golden.experiment.run_plan

    def run_two(*arguments, **settings):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(arguments)
        return whole(*arguments, **settings)

    monkeypatch.setattr(golden.experiment, "run_plan", run_two)
    assert main(COMMAND) == 130
    assert not (folder / "docs" / "small.json").exists()
    monkeypatch.setattr(golden.experiment, "run_plan", whole)
    assert main(COMMAND) == 0
    first = (folder / "docs" / "small.json").read_text()
    # Everything is finished: the record is made of what was kept.
    monkeypatch.setattr(golden.experiment, "run_plan", None)
    assert main(COMMAND) == 0
    assert (folder / "docs" / "small.json").read_text() == first


def test_measured_without_the_mask():
    config = ModelConfig(name="small", image_size=8, dim=8, depth=1, pool_stages=(4,), aggregate_threshold=0.25)
    model, test = init_model(config, seed=2), fit_set(load_bundled(), config)
    found = measure(model, test)
    figures = evaluate(model, test.images, test.labels)
    assert found["accuracy"] == figures["accuracy"]
    assert found["mask_rate"] == figures["mask_rate"]
    assert found["mask_rate"]["blocks.0"] > 0
    silent = type(model)(config=dataclasses.replace(config, attention_threshold=200.0), tensors=model.tensors)
    without = evaluate(silent, test.images, test.labels)
    assert without["mask_rate"]["blocks.0"] == 0
    assert found["accuracy_without_mask"] == without["accuracy"]


def test_real_attention_is_measured_by_the_rates_of_its_neurons():
    config = ModelConfig(name="small", image_size=8, dim=8, depth=1, pool_stages=(4,), attention="vsa", timesteps=2)
    network, test = quantise(SAFormer(config)), fit_set(load_bundled(), config)
    for module in network.modules():
        if isinstance(module, Neuron):
            module.threshold.fill_(-1e9)
    found = measure_real(network, test)
    # Everything fires: the dense operations of all layers, of which conv1, attention and projection multiply.
    shapes = {layer.name: layer.macs for layer in layers(config)}
    products = shapes["conv1"] + 2 * (shapes["blocks.0.attend"] + shapes["blocks.0.proj"])
    sums = 2 * sum(shapes.values()) - 2 * shapes["conv1"] - 2 * (shapes["blocks.0.attend"] + shapes["blocks.0.proj"])
    assert found["accumulates"] == sums
    assert found["eq19_mj"] == pytest.approx(1e-9 * (4.6 * products + 0.9 * sums))
    assert 0 <= found["accuracy"] <= 1


def test_plot_along_a_number(folder, monkeypatch):
    steps = dataclasses.replace(
        SMALL, variants={f"T = {steps}": {"timesteps": steps} for steps in (1, 2)}, axis="timesteps"
    )
    monkeypatch.setattr(golden.questions, "QUESTIONS", {"small": steps})
    assert main(COMMAND) == 0
    assert (folder / "docs" / "small.svg").read_text().startswith("<svg")


def test_questions_are_listed(capsys):
    assert main(["experiment"]) == 0
    assert capsys.readouterr().out.count("\n") == len(QUESTIONS)


def test_a_variant_changes_what_exists():
    with pytest.raises(SaformerError, match="typo changes dwcs, which neither a configuration nor a plan has"):
        dataclasses.replace(SMALL, variants={"typo": {"dwcs": False}})


def test_unknown_experiment(capsys):
    assert main(["experiment", "none"]) == 2
    assert "no experiment 'none': use one of mask," in capsys.readouterr().err
    with pytest.raises(SaformerError, match="no experiment"):
        find_experiment("none")


@pytest.mark.parametrize("path", sorted(COMMITTED.glob("*.json")), ids=lambda path: path.stem)
def test_committed_pages_follow_from_the_figures(path):
    figures = json.loads(path.read_text())
    assert path.with_suffix(".md").read_text() == findings_of(find_experiment(path.stem)).page(figures)
    known = QUESTIONS[path.stem]
    assert figures["variants"] == {name: dict(changes) for name, changes in known.variants.items()}
    assert ModelConfig.from_dict(figures["base"]) == known.base


def test_a_conversion_is_trained_measured_and_shown(folder, monkeypatch, capsys):
    """Two variants with two seeds: the record has every scheme and timestep, and PMSM equals its network at T = 1."""
    variants = {
        "VGG": {"levels": 2},
        "small ViT": {"network": "saformer", "attention": "vsa", "negative_levels": 1},
    }
    base = dataclasses.replace(CONVERSION.base, image_size=8, dim=8, depth=1, windows=4)
    stages = tuple(dataclasses.replace(stage, epochs=1) for stage in CONVERSION.stages)
    small = dataclasses.replace(CONVERSION, name="small", variants=variants, base=base, stages=stages)
    monkeypatch.setattr(golden.conversion.experiment, "VALIDATION_IMAGES", 20)
    monkeypatch.setattr(golden.questions, "QUESTIONS", {"small": small})
    assert main(COMMAND) == 0
    record = json.loads((folder / "docs" / "small.json").read_text())
    assert len(record["runs"]) == 4
    for run in record["runs"]:
        assert run["differences"] == 0
        assert [(row["scheme"], row["timesteps"]) for row in run["results"]] == [
            (scheme, steps) for scheme in ("pmsm", "qcfs", "if") for steps in (1, 2, 4)
        ]
        assert run["results"][0]["accuracy"] == run["accuracy"]
        assert all(row["entropy_before"] is not None for row in run["quantisers"])
        assert (run["integer"] is None) == (run["variant"] == "small ViT")
    assert "pmsm, integers" in capsys.readouterr().out
    written = (folder / "docs" / "small.md").read_text()
    assert "Values in which PMSM at one timestep differs from the quantised network, the most of any run: 0." in written
    assert (folder / "docs" / "small.svg").read_text().startswith("<svg")


def test_a_conversion_changes_what_exists():
    with pytest.raises(SaformerError, match="typo changes level, which no configuration has"):
        dataclasses.replace(CONVERSION, variants={"typo": {"level": 3}})
