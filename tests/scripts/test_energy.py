"""``saformer energy``."""

import csv
import json

import pytest

from scripts.cli import main


def run(capsys, *arguments):
    """The exit status of a command line, what it printed, and what it complained of."""
    status = main(["energy", *map(str, arguments)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_the_papers_figure(capsys):
    status, out, _ = run(capsys, "4-384", "--rate", 0.152)
    assert status == 0
    assert "0.49 mJ by eq. 19: 4-384" in out
    assert "costs less than quantised_network below a rate of 25.1 %" in out


def test_files(capsys, tmp_path):
    record, rows, plot = tmp_path / "e.json", tmp_path / "e.csv", tmp_path / "e.svg"
    status, out, _ = run(capsys, "tiny", "--images", 2, "--tables", "--json", record, "--csv", rows, "--plot", plot)
    figures = json.loads(record.read_text())
    assert status == 0
    assert figures["costs"]["name"] == "horowitz-45nm"
    assert set(figures["break_even_rate"]) > {"integer_sram"}
    assert plot.read_text().startswith("<svg")
    table = list(csv.DictReader(rows.read_text().splitlines()))
    assert {row["table"] for row in table} == {"1", "2", "5"}
    ours = next(row for row in table if row["ours_mj"])
    assert float(ours["ours_mj"]) == figures["energy_mj"]["eq19"]
    assert "the tenfold difference is one of billing" in out


def test_an_attention_of_real_numbers(capsys, tmp_path):
    (tmp_path / "real.toml").write_text('attention = "vsa"')
    record = tmp_path / "e.json"
    status, out, _ = run(capsys, tmp_path / "real.toml", "--rate", 0.15, "--json", record)
    assert status == 0
    assert "costs less than" not in out
    # It has no integer widths, and is multiplied at any rate.
    figures = json.loads(record.read_text())
    assert set(figures["energy_mj"]) == {"eq19", "eq19_dense_estimate"}
    attention = [layer for layer in figures["layers"] if layer["name"].endswith(("attend", "proj"))]
    assert {(layer["kind"], layer["rate"]) for layer in attention} == {("mac", 1.0)}


def test_a_table_of_rates(capsys, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("layer,operations,rate,kind\nconv,1e9,1,mac\nfc,1e9,0.5,ac\n")
    status, out, _ = run(capsys, "--rates", path)
    assert status == 0
    assert "5.05 mJ by eq. 19: firing rates of log.csv" in out
    assert "quantised" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rate", 0.1, "--rates", "x.csv"), "two sources of firing rates"),
        (("--rate", 2), "a firing rate must be from 0 to 1, not 2.0"),
        (("--rates", "none.csv"), "none.csv is not a readable CSV file"),
        (("--costs", "none", "--rate", 0.1), "no costs 'none'"),
        (("none", "--rate", 0.1), "no model 'none'"),
        (("--json", "/none/x.json", "--rate", 0.1), "cannot write /none/x.json"),
    ],
)
def test_bad_input(capsys, arguments, message):
    status, out, error = run(capsys, *arguments)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert message in error


def test_complexity(capsys, tmp_path):
    record, plot = tmp_path / "c.json", tmp_path / "c.svg"
    assert main(["complexity", "--json", str(record), "--plot", str(plot)]) == 0
    rows = {(row["attention"], row["axis"]): row for row in json.loads(record.read_text())["rows"]}
    exponents = {key: row["exponent"] for key, row in rows.items()}
    linear = [("sasa", "N"), ("sdsa", "N"), ("qk-token", "N"), ("qk-channel", "N")]
    assert [exponents[key] for key in linear] == pytest.approx([1, 1, 1, 1], abs=0.1)
    assert exponents["ssa", "N"] == pytest.approx(2, abs=0.05)
    assert exponents["sasa", "n"] == pytest.approx(0, abs=0.05)
    assert plot.read_text().startswith("<svg")
    assert "windows n, 256 tokens" in capsys.readouterr().out
