"""``saformer bench``: its points, its figures, and what it says when something differs."""

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from golden.calibrate import init_model
from golden.config import ModelConfig
from golden.integer import run
from hw.config import HardwareConfig
from hw.estimate.costs import Estimate
from scripts import bench
from scripts.cli import main
from sim.results import CosimResult, LayerResult

SMALL = 'name = "small"\ndim = 16\ndepth = 1\nimage_size = 16\n'


def _layer(name, sops, cycles, ideal):
    return LayerResult(
        name=name,
        kind="event",
        firing_rate=0.1,
        events=ideal,
        sops_golden=sops,
        sops_rtl=sops,
        weight_fetches=sops,
        cycles=cycles,
        ideal_cycles=ideal,
        counters={},
    )


@pytest.fixture
def result():
    """What a comparison of two images could report."""
    images = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    return CosimResult(
        model="small",
        mismatches=[],
        predictions=[1, 2],
        labels=[1, 3],
        cycles=[1000, 1200],
        cycles_per_second=1e5,
        layers=[_layer("conv1", 30_000, 900, 800), _layer("conv2", 40_400, 1100, 1000)],
        lanes=16,
        timesteps=4,
        image_bytes=4096,
        bus_bytes=[4096, 4096],
        dense_operations=220_000,
        energy_mj={},
        first=run(init_model(ModelConfig(name="small", dim=16, depth=1, image_size=16), seed=0), images),
    )


def test_figures_are_per_image_and_per_part_of_the_hardware(result):
    config = HardwareConfig(lanes=16, bus_bytes=4)
    figures = bench.figures(result, Estimate(layers=[], cycles=1010.0), config)
    assert figures["cycles_per_image"] == 1100
    assert figures["ideal_cycles"] == 900
    assert figures["accumulates_per_cycle"] == pytest.approx(32)
    assert figures["accumulates_per_cycle_and_lane"] == pytest.approx(2)
    assert figures["accumulates_per_cycle_and_adder"] == pytest.approx(0.5)
    assert figures["dense_equivalent_per_cycle"] == pytest.approx(200)
    assert figures["estimate_error"] == pytest.approx(0.01)
    assert figures["luts"] is None
    known = bench.figures(result, Estimate(layers=[], cycles=1010.0), config, luts=4000)
    assert known["accumulates_per_cycle_and_kilo_lut"] == 8
    json.dumps(figures)


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """Two small networks of four timesteps, and one of sixteen."""
    monkeypatch.chdir(tmp_path)
    for name, extra in (("one", ""), ("two", "windows = 16\n"), ("long", "timesteps = 16\n")):
        (tmp_path / f"{name}.toml").write_text(SMALL + extra)
    return ["one.toml", "two.toml", "long.toml"]


@pytest.fixture
def measured(monkeypatch, result):
    """Points are not simulated but listed, and report the sample."""
    seen = []

    def evaluate(point):
        seen.append(point)
        config = HardwareConfig(**point["hardware"])
        figures = bench.figures(result, Estimate(layers=[], cycles=1000.0), config)
        return figures | {"peak_memory_bytes": 2**30} | ({"bit_exact": False} if "bad" in point["model"] else {})

    monkeypatch.setattr(bench, "evaluate", evaluate)
    monkeypatch.setattr(bench, "ProcessPoolExecutor", lambda *_arguments, **_options: ThreadPoolExecutor(1))
    return seen


def test_networks_of_as_many_passes_share_hardware(networks, measured, capsys):
    assert main(["bench", *networks, "--lanes", "16,32", "--json", "bench.json"]) == 0
    assert [(point["model"], point["hardware"]["lanes"]) for point in measured] == [
        (name, lanes) for lanes in (16, 32) for name in networks
    ]
    assert {tuple(point["beside"]) for point in measured} == {("one.toml", "two.toml"), ("long.toml",)}
    assert {point["hardware"]["bus_bytes"] for point in measured} == {4}
    with open("bench.json") as file:
        assert len(json.load(file)["points"]) == 6
    out = capsys.readouterr().out
    assert "long.toml" in out
    assert "dense-equivalent" in out


def test_a_benchmark_goes_on_where_it_was_cut_off(networks, measured):
    assert main(["bench", networks[0], "--lanes", "16"]) == 0
    assert main(["bench", networks[0], "--lanes", "16,32"]) == 0
    assert [point["hardware"]["lanes"] for point in measured] == [16, 32]


def test_a_difference_is_status_1(networks, measured, tmp_path, capsys):
    (tmp_path / "bad.toml").write_text(SMALL)
    assert main(["bench", "bad.toml", "--lanes", "16"]) == 1
    assert "NO" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody"], "no model 'nobody'"),
        (["--lanes", "few"], "lanes must be numbers"),
        (["--lanes", "18"], "lanes must be a multiple of 4"),
        (["--hw", "huge"], "no hardware configuration 'huge'"),
        (["--device", "xc7"], "no device 'xc7'"),
        (["--json", "no/folder.json"], "cannot write no/folder.json"),
    ],
)
def test_bad_input_is_one_line(networks, measured, capsys, arguments, message):
    assert main(["bench", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert measured == []


def test_a_bus_grows_with_the_lanes():
    base = HardwareConfig()
    assert [bench._with_lanes(base, lanes).bus_bytes for lanes in (16, 32, 64, 128, 192, 256)] == [4, 4, 8, 16, 16, 32]
    assert dataclasses.replace(base, lanes=128, bus_bytes=16) == bench._with_lanes(base, 128)
