"""The command line: help, errors, and what each command writes."""

import json

import pytest

from scripts.cli import main
from tests.scripts.errors import error_of

EVENTS = "\n".join(
    (
        'input = "events"',
        "in_channels = 2",
        "classes = 11",  # not those of the recordings that come with the project
        "dim = 16",
        "depth = 1",
        "image_size = 40",
        "windows = 4",
        "timesteps = 3",
    )
)


@pytest.fixture(autouse=True)
def bundled_images(monkeypatch):
    monkeypatch.delenv("SAFORMER_DATA", raising=False)


@pytest.fixture
def model(tmp_path):
    """A container with a small untrained model."""
    (tmp_path / "small.toml").write_text("dim = 16\ndepth = 1\nimage_size = 16\ntimesteps = 2\n")
    path = tmp_path / "small.safetensors"
    assert main(["init", str(tmp_path / "small.toml"), "--seed", "3", "--out", str(path)]) == 0
    return path


@pytest.mark.parametrize("command", [(), ("cosim",), ("golden",), ("init",), ("lower",), ("train",)])
def test_help(command, capsys):
    assert main([*command, "--help"]) == 0
    assert "Usage: saformer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "No such command 'nothing'"),
        (["golden", "--bogus"], "No such option: --bogus"),
        (["golden", "--images", "0"], "greater than or equal to 1"),
        (["golden", "nobody"], "no model 'nobody': name a bundled one"),
        (["golden", "no.toml"], "no configuration 'no.toml'"),
        (["golden", "2-512", "--json", "no/folder.json"], "cannot write no/folder.json"),
        (["golden", "2-512", "--json", "."], "it is a folder; name a file"),
        (["golden", "2-512", "--images", "101"], "the data set has 100"),
        (["golden", "2-512", "--data", "no/data"], "no CIFAR-10 data in no/data"),
        (["golden", "events.toml", "--data", "no/data"], "no DVS128-Gesture data in no/data"),
        (["golden", "tiny", "--random"], "random frames are for models with event input, and tiny takes images"),
        (["cosim", "--engine", "spice"], "'spice' is not one of 'native', 'cocotb'"),
        (["cosim", "--query", "none"], "'none' is not one of 'pooled', 'tokens'"),
        (["cosim", "--memory-bandwidth", "0"], "the bandwidth of the memory must be above 0 bytes a cycle"),
        (["cosim", "--image", "no.img"], "cannot read no.img (No such file or directory): name a file"),
        (["cosim", "--image", "events.toml"], "events.toml is not a program image: write it again with"),
        (["lower"], "nothing to do: name a file with --out, or ask for a listing with --dump"),
        (["lower", "tiny", "--out", "no/folder.img"], "cannot write no/folder.img"),
        (["lower", "4-384", "--hw", "default", "--dump"], "need 17 bits, the hardware has 16: raise acc_bits to 17"),
        (["cosim", "--memory-stall", "1"], "less than or equal to 0.99"),
        (["cosim", "--engine", "cocotb", "--trace", "x.vcd"], "only the native engine writes waveforms"),
        (["cosim", "--hw", "huge"], "no hardware configuration 'huge'"),
        (["cosim", "--report", "no/folder.html"], "cannot write no/folder.html"),
        (["cosim", "--trace", "no/folder.vcd"], "cannot write no/folder.vcd"),
        (["init", "tiny"], "Missing option '--out'"),
        (["init", "tiny", "--out", "no/model.safetensors"], "cannot write no/model.safetensors"),
        (["train", "--data", "no/data"], "no CIFAR-10 data in no/data"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "events.toml").write_text(EVENTS)
    assert message in error_of(capsys, *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["events.toml"]


def test_damaged_model_is_an_error(model, capsys):
    data = model.read_bytes()
    model.write_bytes(data[: len(data) // 2])
    assert "is not a complete SAFormer model" in error_of(capsys, "golden", model)


def test_model_too_large_for_the_hardware_is_an_error(model, tmp_path, capsys):
    hardware = tmp_path / "hw.toml"
    hardware.write_text("spike_depth = 4\n")
    assert "raise spike_depth" in error_of(capsys, "cosim", model, "--hw", hardware)


def test_golden_writes_its_figures(model, tmp_path, capsys):
    path = tmp_path / "figures.json"
    assert main(["golden", str(model), "--images", "4", "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    assert figures["images"] == 4
    assert figures["accuracy"] in (0.0, 0.25, 0.5, 0.75, 1.0)
    assert {"name", "firing_rate", "spikes", "sops", "sops_dense_estimate", "events"} <= set(figures["layers"][0])
    assert "blocks.0.fc2" in capsys.readouterr().out


def test_golden_on_events(tmp_path, capsys):
    config, path = tmp_path / "events.toml", tmp_path / "figures.json"
    config.write_text(EVENTS)
    assert main(["golden", str(config), "--images", "3", "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    assert (figures["images"], figures["accuracy"]) == (3, None)
    assert "accuracy   unknown (no labels) of 3 images" in capsys.readouterr().out
    recording = tmp_path / "data" / "Test" / "4" / "60007.bin"
    recording.parent.mkdir(parents=True)
    recording.write_bytes(bytes([1, 2, 0x80, 0, 9, 30, 33, 0, 1, 0]))
    assert main(["golden", str(config), "--data", str(tmp_path / "data"), "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    assert figures["accuracy"] in (0.0, 1.0)
    assert figures["layers"][0]["spikes"] == 2
    assert main(["golden", str(config), "--data", str(tmp_path / "data"), "--random", "--json", str(path)]) == 0
    assert json.loads(path.read_text())["images"] == 10


def test_init_repeats_with_its_seed(model, tmp_path):
    again, other = tmp_path / "again.safetensors", tmp_path / "other.safetensors"
    for seed, path in (("3", again), ("4", other)):
        assert main(["init", str(tmp_path / "small.toml"), "--seed", seed, "--out", str(path)]) == 0
    assert again.read_bytes() == model.read_bytes() != other.read_bytes()


def test_cosim_compares_and_reports(model, tmp_path, capsys):
    figures, report = tmp_path / "figures.json", tmp_path / "report.html"
    arguments = ["--hw", "small", "--images", "2", "--first", "5", "--json", str(figures), "--report", str(report)]
    assert main(["cosim", str(model), *arguments]) == 0
    out = capsys.readouterr().out
    values = json.loads(figures.read_text())
    assert values["bit_exact"] is True
    assert values["mismatches"] == []
    assert values["images"] == len(values["predictions"]) == 2
    assert values["labels"] == [5, 6]
    assert all(layer["sops_golden"] == layer["sops_rtl"] for layer in values["layers"])
    assert values["bus_bytes"] == [values["image_bytes"]] * 2
    assert "comparison  bit-exact" in out
    assert "in the background" in out
    assert "bit-exact" in report.read_text()


def test_cosim_says_what_the_other_way_of_queries_would_take(model, tmp_path, capsys):
    runs, expected = {}, {}
    for way in ("pooled", "tokens"):
        for command, figures in (("cosim", runs), ("estimate", expected)):
            path = tmp_path / f"{command}-{way}.json"
            assert main([command, str(model), "--hw", "small", "--query", way, "--json", str(path)]) == 0
            figures[way] = json.loads(path.read_text())
    assert runs["pooled"]["predictions"] == runs["tokens"]["predictions"]
    for way, other in (("pooled", "tokens"), ("tokens", "pooled")):
        measured, estimated = runs[way]["cycles_per_image"], expected[other]["cycles"]
        assert runs[way]["query"] == {"ran": way, "measured": measured, "other": other, "estimated": estimated}
    assert "from every token it would be about" in capsys.readouterr().out


def test_lower_writes_the_image_that_cosim_runs(model, tmp_path, capsys):
    path = tmp_path / "small.img"
    assert main(["lower", str(model), "--hw", "small", "--out", str(path), "--dump"]) == 0
    out = capsys.readouterr().out
    assert "blocks.0.k" in out
    assert "descriptors" in out
    assert "weight_rows=" in out
    assert f"wrote {path}" in out.replace("\n", "")
    run = ["cosim", str(model), "--hw", "small", "--engine", "native", "--image", str(path)]
    assert main(run) == 0
    assert "bit-exact" in capsys.readouterr().out
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    assert "has been altered, its SHA-256 is another one" in error_of(capsys, *run)
    path.write_bytes(content[:-100])
    assert "bytes, not the" in error_of(capsys, *run)
    assert main(["lower", str(model), "--hw", "narrow", "--out", str(path)]) == 0
    assert "for other hardware (name is narrow, not small)" in error_of(capsys, *run)
