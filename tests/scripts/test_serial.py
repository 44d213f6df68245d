"""The serial accelerator on the command line."""

import json

from scripts.cli import main
from tests.scripts.errors import error_of


def test_a_network_is_compared_and_its_figures_are_written(capsys, tmp_path):
    path = tmp_path / "figures.json"
    assert main(["cosim", "micro", "--hw", "serial", "--images", "2", "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    assert "bit-exact: spikes, residual stream, logits and counters of 2 images" in capsys.readouterr().out
    assert figures["bit_exact"]
    assert len(figures["predictions"]) == 2
    assert figures["sops_per_image"] == sum(layer["sops"] for layer in figures["layers"]) / 2
    assert figures["accumulates_per_cycle"] == figures["sops_per_image"] / figures["cycles_per_image"]


def test_what_it_does_not_have_is_refused(capsys, tmp_path):
    report = ("--report", tmp_path / "report.html")
    assert "--report is not for the serial accelerator" in error_of(capsys, "cosim", "micro", "--hw", "serial", *report)


def test_a_network_that_is_too_large_is_refused(capsys):
    message = error_of(capsys, "cosim", "tiny", "--hw", "serial")
    assert message == "error: the model has 32 pixels on a side, the serial accelerator 16 (side)\n"
