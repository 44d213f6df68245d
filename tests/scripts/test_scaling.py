"""``saformer scaling``: a small network at two rates and two sizes on the RTL, and what bad input says."""

import json
from xml.etree import ElementTree

import pytest

from scripts import scaling
from scripts.cli import main

SMALL = 'name = "small"\ndim = 16\ndepth = 1\nimage_size = 16\n'
HARDWARE = """
lanes = 16
bus_bytes = 4
beat_channels = 4
word_channels = 16
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL)
    (tmp_path / "hardware.toml").write_text(HARDWARE)
    return tmp_path


COMMAND = ["scaling", "small.toml", "--hw", "hardware.toml", "--rates", "5,40", "--sizes", "8,16"]


def test_cycles_grow_with_the_rate_and_with_the_size(folder, monkeypatch, capsys):
    assert main([*COMMAND, "--json", "points.json", "--plot", "points.svg"]) == 0
    points = json.loads((folder / "points.json").read_text())["points"]
    assert [(point["percent"], point["tokens"]) for point in points] == [(5, 16), (40, 16), (None, 4), (None, 16)]
    slow, fast, few, many = points
    assert all(point["bit_exact"] and point["cycles"] > point["ideal_cycles"] for point in points)
    assert slow["mean_rate"] < 0.15 < 0.3 < fast["mean_rate"]
    assert slow["cycles"] < fast["cycles"]
    assert few["cycles"] < many["cycles"]
    assert slow["dense_operations"] == fast["dense_operations"]
    assert ElementTree.parse(folder / "points.svg").getroot().tag.endswith("svg")
    assert "dense operations" in capsys.readouterr().out

    # Finished points are not run again.
    monkeypatch.setattr(scaling, "evaluate", None)
    assert main(COMMAND) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no configuration 'nothing'"),
        (["small.toml", "--rates", "much"], "rates must be numbers"),
        (["small.toml", "--rates", "100"], "a firing rate must be from 1 to 99 per cent, not 100"),
        (["small.toml", "--sizes", "17"], "image_size 17 cannot be halved"),
        (["small.toml", "--plot", "no/folder.svg"], "cannot write no/folder.svg"),
    ],
)
def test_bad_input_is_one_line(folder, capsys, arguments, message):
    assert main(["scaling", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
