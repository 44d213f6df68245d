"""``saformer run``: the whole product on the simulated board, and what it says where there is none."""

import json
from dataclasses import asdict

import pytest

from scripts import run
from scripts.cli import main
from tests.hw.soc.board import CONFIG, MEMORY_BYTES
from tests.scripts.errors import error_of

MODEL = 'name = "sample"\ndim = 16\ndepth = 1\nimage_size = 16\ntimesteps = 3\n'


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A model and the hardware of the board that other tests build too."""
    monkeypatch.delenv("SAFORMER_DATA", raising=False)
    monkeypatch.setattr(run, "SMALLEST_MEMORY", MEMORY_BYTES)
    (tmp_path / "model.toml").write_text(MODEL)
    (tmp_path / "board.toml").write_text(
        "".join(f"{key} = {json.dumps(value)}\n" for key, value in asdict(CONFIG).items())
    )
    return tmp_path


def test_images_run_on_the_simulated_board(files, capsys):
    arguments = ["--images", "2", "--hw", str(files / "board.toml"), "--json", str(files / "run.json")]
    assert main(["run", str(files / "model.toml"), *arguments]) == 0
    figures = json.loads((files / "run.json").read_text())
    assert (figures["bit_exact"], figures["images"], figures["port"]) == (True, 2, "sim")
    assert figures["frames_per_second"] == figures["clock_hz"] / figures["cycles_per_image"]
    output = capsys.readouterr().out
    assert "comparison  bit-exact: logits and counters of 2 images" in output
    assert "by eq19: the paper's" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "/dev/none"], "cannot open the port /dev/none (No such file or directory): check its name"),
        (["--json", "no/folder.json"], "cannot write no/folder.json"),
        (["--port", "sim", "--hw", "huge"], "no hardware configuration 'huge'"),
        (["--baud", "3"], "9600"),
        (["--port", "sim", "--board", "basys"], "no board 'basys': use one of ulx3s-85f"),
        (["--port", "/dev/none", "--board", "icebreaker"], "--board is for --port sim: a board at a port says itself"),
    ],
)
def test_bad_input_is_one_line_and_status_2(files, capsys, arguments, message):
    assert message in error_of(capsys, "run", files / "model.toml", *arguments)
