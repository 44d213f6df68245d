"""``saformer nir``: the report, the run, the comparison, the export, and what is refused."""

import json

import nir
import numpy as np
import pytest

import scripts.nir
from golden.feedforward.integer import quantise_network
from golden.feedforward.nir import export_graph, import_graph, read_graph, write_graph
from hw.compile.chain import Chain
from hw.compile.image import check_image, unpack_image
from hw.compile.lowering import lower_chain
from hw.config import HARDWARE
from scripts.cli import main
from sim.chain import ChainResult
from sim.compare import Mismatch
from tests.golden.feedforward.graphs import affine, chain, example, neurons


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the file net.nir."""
    write_graph(export_graph(import_graph(example())), tmp_path / "net.nir")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_report_and_run(folder, capsys):
    assert main(["nir", "net.nir", "--json", "net.json", "--export", "again.nir"]) == 0
    shown = capsys.readouterr().out
    assert "Conv2d" in shown
    assert "6 to 8 channels, 3x3, stride 1" in shown
    record = json.loads((folder / "net.json").read_text())
    assert record["parameters"] == 2150
    assert [node["kind"] for node in record["nodes"]][:3] == ["Input", "Conv2d", "LIF"]
    assert 0 < record["rates"]["n1"] < 1
    assert len(record["predictions"]) == 3
    assert main(["nir", "again.nir", "--json", "again.json"]) == 0
    again = json.loads((folder / "again.json").read_text())
    assert {**again, "file": "net.nir"} == record


def test_on_the_accelerator(folder, capsys):
    assert main(["nir", "net.nir", "--cosim", "--hw", "small", "--recordings", "1", "--json", "net.json"]) == 0
    assert "bit-exact: spikes, outputs and counters of 1 recordings" in capsys.readouterr().out
    record = json.loads((folder / "net.json").read_text())
    assert record["bit_exact"]
    assert record["events"] > 0


def test_a_program_image_is_written(folder, capsys):
    assert main(["nir", "net.nir", "--image", "net.img", "--hw", "small", "--timesteps", "3"]) == 0
    image = unpack_image((folder / "net.img").read_bytes(), "net.img")
    assert image.digest in capsys.readouterr().out
    assert dict(image.model) == {
        "name": "net",
        "input": "events",
        "in_channels": 2,
        "image_size": [8, 8],
        "timesteps": 3,
        "classes": 4,
    }
    network = quantise_network(import_graph(read_graph(folder / "net.nir")), dt=1e-4)
    lowered = lower_chain(Chain(network, name="net", timesteps=3, config=HARDWARE["small"]))
    assert image.payload == lowered.program.payload()
    check_image(image, lowered, "net.img")


def test_a_difference_is_an_error(folder, monkeypatch, capsys):
    wrong = Mismatch(layer="n0", what="spikes", place="", expected="0", got="1", count=1)
    result = ChainResult(mismatches=[[wrong]], predictions=[0], cycles=[5], events=1, accumulates=1, program_bytes=8)
    monkeypatch.setattr(scripts.nir, "cosim_chain", lambda *_, **__: result)
    assert main(["nir", "net.nir", "--cosim"]) == 1
    shown = capsys.readouterr().out
    assert "recording 0: n0: spikes: expected 0, got 1 (1 in all)" in shown
    assert "NOT bit-exact" in shown


def test_own_recordings(folder, capsys):
    np.save("frames.npy", np.ones((2, 3, 2, 8, 8), np.uint8))
    assert main(["nir", "net.nir", "--frames", "frames.npy"]) == 0
    assert "2 recordings of 3 timesteps" in capsys.readouterr().out
    np.save("frames.npy", np.ones((2, 3, 2, 7, 8), np.uint8))
    assert main(["nir", "net.nir", "--frames", "frames.npy"]) == 2
    assert "the network reads uint8 frames [B, T, 2, 8, 8], not uint8 [2, 3, 2, 7, 8]" in capsys.readouterr().err
    (folder / "frames.npy").write_text("nothing")
    assert main(["nir", "net.nir", "--frames", "frames.npy"]) == 2
    assert "name a file of numpy.save" in capsys.readouterr().err


def test_an_unsupported_node_is_reported_before_it_is_refused(folder, capsys):
    generator = np.random.default_rng(1)
    delayed = chain((4,), affine(generator, 3, 4), neurons((3,)), nir.Delay(np.ones(3)))
    write_graph(delayed, folder / "delayed.nir")
    assert main(["nir", "delayed.nir", "--json", "delayed.json"]) == 2
    captured = capsys.readouterr()
    assert "Delay is not supported" in captured.out
    assert captured.err.startswith("error: node 'n2': Delay is not supported")
    assert captured.err.count("\n") == 1
    assert not (folder / "delayed.json").exists()


@pytest.mark.parametrize("name", ["tiny", "4-384"])
def test_attention_is_named(name, capsys):
    assert main(["nir", name]) == 2
    assert f"NIR has no node for blocks.0.attention of {name} (sasa)" in capsys.readouterr().err


def test_another_timestep(folder, capsys):
    assert main(["nir", "net.nir", "--dt", "3e-5"]) == 2
    assert "node 'n1': keeps 0.85 of its membrane at a step of 3e-05 s" in capsys.readouterr().err
