"""``saformer sweep``: the design space, resuming, where the points run, and what it refuses."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from distributed import LocalCluster

from scripts import points, sweep
from scripts.cli import main
from scripts.sweep import design_space, mark_best


@pytest.fixture(autouse=True)
def bundled_images(monkeypatch):
    monkeypatch.delenv("SAFORMER_DATA", raising=False)


@pytest.fixture
def calls(monkeypatch):
    """Points run in this process, and are listed here."""
    seen = []

    @contextmanager
    def threads(workers, scheduler):
        with ThreadPoolExecutor(1) as executor:
            yield executor

    def evaluate(point):
        seen.append(point)
        return points.evaluate(point)

    monkeypatch.setattr(sweep, "executor_for", threads)
    monkeypatch.setattr(sweep, "evaluate", evaluate)
    return seen


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A configuration of a small untrained model, in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.toml"
    path.write_text('name = "small"\ndim = 16\ndepth = 1\nimage_size = 16\ntimesteps = 4\n')
    return path


def _sweep(*arguments):
    assert main(["sweep", *map(str, arguments), "--json", "sweep.json"]) == 0
    with open("sweep.json") as file:
        return json.load(file)["points"]


def _error(capsys, *arguments):
    assert main(["sweep", *map(str, arguments)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    return message


def test_every_combination_is_a_point():
    space = design_space(
        ["a", "b", "a"],
        base={"lanes": 1, "name": "x"},
        axes={"lanes": [8, 16], "fifo_depth": [5]},
        weight_bits=[None, 4],
        common={},
    )
    assert len(space) == 2 * 2 * 2
    assert space[0] == {"model": "a", "changes": {}, "hardware": {"lanes": 8, "name": "x", "fifo_depth": 5}}
    assert len({json.dumps(point, sort_keys=True) for point in space}) == len(space)


def test_the_best_are_those_that_nothing_beats():
    figures = [(10, 5), (5, 10), (10, 10), (5, 10), (7, 7), (4, 20)]
    rows = [{"model": "a", "result": {"cycles": cycles, "luts": luts}} for cycles, luts in figures]
    rows += [{"model": "a", "result": {"error": "no"}}, {"model": "b", "result": {"cycles": 99, "luts": 99}}]
    mark_best(rows)
    assert [row["best"] for row in rows] == [True, True, False, True, True, True, False, True]


def test_more_lanes_take_fewer_cycles_and_more_area(model, calls, capsys):
    rows = _sweep(model, "--lanes", "8,16", "--images", "2", "--plot", "pareto.svg")
    small, large = (row["result"] for row in rows)
    assert small["cycles"] > large["cycles"]
    assert small["luts"] < large["luts"]
    assert all(row["best"] for row in rows)
    assert "lanes" in capsys.readouterr().out
    with open("pareto.svg") as file:
        assert "<svg" in file.read()


def test_timesteps_in_parallel_become_passes(model, calls):
    rows = _sweep(model, "--timesteps", "1,2,4", "--rate", "0.2", "--lanes", "16", "--bus-bytes", "4")
    assert [row["result"]["hardware"]["passes"] for row in rows] == [4, 2, 1]
    cycles = [row["result"]["cycles"] for row in rows]
    assert cycles[0] > cycles[1] > cycles[2]


def test_few_weight_bits_narrow_the_accumulators(model, calls):
    rows = _sweep(model, "--weight-bits", "3,8", "--rate", "0.2")
    assert rows[0]["result"]["hardware"]["acc_bits"] < rows[1]["result"]["hardware"]["acc_bits"]
    assert rows[0]["result"]["luts"] < rows[1]["result"]["luts"]


def test_a_finished_point_is_not_done_again(model, calls):
    first = _sweep(model, "--rate", "0.1", "--lanes", "16,32", "--results", "points.jsonl")
    assert len(calls) == 2
    again = _sweep(model, "--rate", "0.1", "--lanes", "16,32,64", "--results", "points.jsonl")
    assert len(calls) == 3
    assert again[:2] == [row | {"best": new["best"]} for row, new in zip(first, again, strict=False)]


def test_points_that_are_not_possible_are_told_apart(model, calls, capsys):
    rows = _sweep(model, "--rate", "0.1", "--lanes", "16,18")
    assert "error" not in rows[0]["result"]
    assert "lanes" in rows[1]["result"]["error"]
    assert "not possible" in capsys.readouterr().out


def test_processes_give_the_same(model, calls, monkeypatch):
    arguments = (model, "--rate", "0.2", "--lanes", "16,32")
    here = _sweep(*arguments)
    monkeypatch.undo()
    monkeypatch.chdir(model.parent)
    (model.parent / "sweep.jsonl").unlink()
    there = _sweep(*arguments, "--workers", "2")
    assert [_timeless(row) for row in there] == [_timeless(row) for row in here]


def test_a_dask_cluster_gives_the_same(model, calls, monkeypatch):
    arguments = (model, "--rate", "0.2", "--lanes", "16,32")
    here = _sweep(*arguments)
    monkeypatch.undo()
    monkeypatch.chdir(model.parent)
    (model.parent / "sweep.jsonl").unlink()
    with LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:
        there = _sweep(*arguments, "--scheduler", cluster.scheduler_address)
    assert [_timeless(row) for row in there] == [_timeless(row) for row in here]


def _timeless(row):
    return {key: value for key, value in row["result"].items() if key != "seconds"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lanes", "many"], "lanes must be numbers such as 32,64, not 'many'"),
        (["--weight-depth", "1,,2"], "weight-depth must be numbers"),
        (["--lanes", "17"], "no point is possible: hardware: lanes (17)"),
        (["--rate", "7"], "no point is possible: a firing rate is a share"),
        (["--hw", "huge"], "no hardware configuration 'huge'"),
        (["--plot", "plot.pdf"], "name a file that ends in .svg or .png"),
        (["--json", "no/folder.json"], "cannot write no/folder.json"),
        (["--results", "no/points.jsonl"], "cannot write no/points.jsonl"),
        (["--results", "small.toml"], "small.toml, line 1, is not a result"),
    ],
)
def test_bad_input_is_one_line(model, calls, capsys, arguments, message):
    assert message in _error(capsys, model, *arguments)


def test_a_scheduler_that_is_not_there_is_an_error(model, capsys, monkeypatch):
    monkeypatch.setattr(sweep, "TIMEOUT", 1)
    assert "no Dask scheduler at tcp://127.0.0.1:9" in _error(capsys, model, "--scheduler", "tcp://127.0.0.1:9")
