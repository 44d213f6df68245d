"""``saformer estimate``: from runs, from rates, and what it refuses."""

import csv
import json

import pytest

from golden.evaluate import evaluate
from scripts.cli import main
from scripts.inputs import load_images, resolve_model


@pytest.fixture(autouse=True)
def bundled_images(monkeypatch):
    monkeypatch.delenv("SAFORMER_DATA", raising=False)


@pytest.fixture
def model(tmp_path):
    """A configuration of a small untrained model."""
    path = tmp_path / "small.toml"
    path.write_text('name = "small"\ndim = 16\ndepth = 1\nimage_size = 16\ntimesteps = 2\n')
    return path


def _figures(tmp_path, *arguments):
    path = tmp_path / "figures.json"
    assert main(["estimate", *map(str, arguments), "--json", str(path)]) == 0
    return json.loads(path.read_text())


def _error(capsys, *arguments):
    assert main(["estimate", *map(str, arguments)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    return message


def test_it_prints_and_writes_every_layer(model, tmp_path, capsys):
    figures = _figures(tmp_path, model, "--hw", "small", "--images", "3")
    out = capsys.readouterr().out
    assert [layer["name"] for layer in figures["layers"]][:2] == ["load", "conv1"]
    assert all(layer["name"] in out for layer in figures["layers"])
    assert figures["cycles"] > figures["ideal_cycles"] > 0
    assert {"limit", "memory_bits", "external_bytes"} <= figures.keys()


def test_images_are_averaged(model, tmp_path):
    singles = [_figures(tmp_path, model, "--first", number) for number in (0, 1)]
    both = _figures(tmp_path, model, "--images", "2")
    assert both["cycles"] == pytest.approx(sum(single["cycles"] for single in singles) / 2)
    for layer, *parts in zip(both["layers"], *(single["layers"] for single in singles), strict=True):
        assert layer["events"] == pytest.approx(sum(part["events"] for part in parts) / 2)


def test_measured_rates_come_close_to_measured_events(model, tmp_path):
    named = resolve_model(str(model))
    images = load_images(named.model.config, None, count=4)
    layers = evaluate(named.model, images.images, images.labels)["layers"]
    path = tmp_path / "rates.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["layer", "rate"])
        writer.writerows(
            (layer["name"], layer["firing_rate"]) for layer in layers if not layer["name"].endswith((".mix", "pool"))
        )
    fast = ("--memory-bandwidth", "8")
    from_rates = _figures(tmp_path, model, "--rates", path, *fast)
    from_runs = _figures(tmp_path, model, "--images", "4", *fast)
    # Firing at one step makes firing at another likelier, so independent timesteps give more events.
    assert from_runs["ideal_cycles"] < from_rates["ideal_cycles"] < 1.3 * from_runs["ideal_cycles"]
    assert from_rates["cycles"] == pytest.approx(from_runs["cycles"], rel=0.3)


def test_one_rate_is_for_the_layers_that_the_table_lacks(model, tmp_path):
    path = tmp_path / "rates.csv"
    path.write_text("layer, rate, p_any\nconv2, 0.1, 0.15\n")
    figures = _figures(tmp_path, model, "--rates", path, "--rate", "0.3")
    everywhere = _figures(tmp_path, model, "--rate", "0.3")
    events = [{layer["name"]: layer["events"] for layer in run["layers"]} for run in (figures, everywhere)]
    assert events[0]["conv2"] == pytest.approx(events[1]["conv2"] * 0.15 / (1 - 0.7**2))
    assert events[0]["conv3"] == events[1]["conv3"]


def test_slow_memory_costs_cycles(model, tmp_path):
    usual = _figures(tmp_path, model)
    assert _figures(tmp_path, model, "--memory-bandwidth", "0.05")["limit"] == "external"
    assert _figures(tmp_path, model, "--memory-latency", "5000")["cycles"] > usual["cycles"]


def test_pooled_queries_save_cycles(tmp_path):
    queries = [
        sum(
            layer["cycles"]
            for layer in _figures(tmp_path, "tiny", "--query", query)["layers"]
            if layer["name"].endswith(".q")
        )
        for query in ("pooled", "tokens")
    ]
    assert 0 < queries[0] < queries[1] / 2


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "cannot read"),
        ("", "has no rows with the columns layer and rate"),
        ("layer,share\nconv1,0.1\n", "has no rows with the columns layer and rate"),
        ("layer,rate\nconv1,a lot\n", "line 2: a rate must be a number, such as 0.15"),
        ("layer,rate\nconv1,0.5\nconv2\n", "line 3: a rate must be a number"),
        ("layer,rate\nconv1,15\n", "line 2: a firing rate is a share from 0 to 1"),
        ("layer,rate\nconv1,0.5\n", "no firing rate of the input of conv2"),
        ("layer,rate\nconv9,0.5\n", "the model has no layer 'conv9'"),
        ("layer,rate,p_any\nconv1,0.5,0.4\n", "line 2: p_any (0.4) is less than rate (0.5)"),
    ],
)
def test_bad_tables_are_one_line(model, tmp_path, capsys, table, message):
    path = tmp_path / "rates.csv"
    if table is not None:
        path.write_text(table)
    assert message in _error(capsys, model, "--rates", path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rate", "2"], "a firing rate is a share from 0 to 1"),
        (["--memory-bandwidth", "0"], "bandwidth of the memory must be above 0 bytes a cycle"),
        (["--memory-latency", "-1"], "latency of the memory cannot be negative"),
        (["--hw", "huge"], "no hardware configuration 'huge'"),
        (["--json", "no/folder.json"], "cannot write no/folder.json"),
        (["--images", "101"], "the data set has 100"),
    ],
)
def test_bad_options_are_one_line(model, capsys, arguments, message):
    assert message in _error(capsys, model, *arguments)
