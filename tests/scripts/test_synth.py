"""The command ``saformer synth``: what it prints, what it writes, and its errors."""

import json

import pytest

import scripts.synth as command
from hw.synth.flow import UnroutableError
from scripts.cli import main
from tests.hw.synth.samples import Pair


@pytest.fixture(autouse=True)
def design(tmp_path, monkeypatch):
    """A design that takes seconds, in place of the accelerator."""
    monkeypatch.setenv("SAFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(command, "Accelerator", lambda *, config: Pair())


def run(capsys, *arguments):
    """The exit status, and the words of every line that is printed."""
    status = main(["synth", *arguments])
    printed, errors = capsys.readouterr()
    return status, [line.split() for line in printed.splitlines()], errors


def test_a_netlist_is_described_by_component(capsys):
    status, lines, _ = run(capsys, "--no-route")
    assert status == 0
    assert ["inner", "16", "16", "0"] in lines
    assert ["between", "and", "shared", "16", "32", "0"] in lines
    assert ["whole", "32", "48", "0"] in lines
    assert not any(line[:1] == ["clock"] for line in lines)


def test_a_routed_design_has_a_clock_and_a_path(capsys, tmp_path):
    path = tmp_path / "figures.json"
    status, lines, _ = run(capsys, "--device", "lfe5u-25f", "--seeds", "3", "--freq", "50", "--json", str(path))
    figures = json.loads(path.read_text())
    assert status == 0
    assert figures["total"] == {"lut": 32, "ff": 48, "block": 0}
    assert figures["placed"]["TRELLIS_FF"] == 48
    # Two carry chains, whose ends take four LUTs each.
    assert figures["placed"]["TRELLIS_COMB"] >= 32 + 2 * 4
    assert 0 < figures["megahertz"]["worst"] <= figures["megahertz"]["median"] <= figures["megahertz"]["best"]
    assert ["clock", f"{figures['megahertz']['median']:.1f}"] in [line[:2] for line in lines]
    assert figures["path"].split() in [line[1:] for line in lines]


def test_shift_registers_come_on_top_where_there_are_few_pins(capsys):
    status, lines, _ = run(capsys, "--device", "up5k", "--no-route")
    assert status == 0
    assert lines[-1][:1] == ["limit"]
    # 32 inputs and 32 outputs that are not for observers, and the 48 flip-flops of the design.
    assert [line[2] for line in lines if line[:1] == ["whole"]] == ["112"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--device", "xc7"), "no device 'xc7': use one of lfe5u-85f"),
        (("--hw", "huge"), "no hardware configuration 'huge'"),
        (("--json", "/nowhere/figures.json"), "cannot write /nowhere/figures.json"),
    ],
)
def test_bad_input_is_one_line(capsys, arguments, message):
    status, lines, errors = run(capsys, *arguments)
    assert (status, lines) == (2, [])
    assert errors.startswith(f"error: {message}")
    assert errors.count("\n") == 1


def unroutable(monkeypatch, *seeds):
    """Let routing not end with some seeds."""
    place_and_route = command.place_and_route

    def place(netlist, device, *, seed, **options):
        if seed in seeds:
            raise UnroutableError(f"seed {seed}: wires are left")
        return place_and_route(netlist, device, seed=seed, **options)

    monkeypatch.setattr(command, "place_and_route", place)


def test_a_seed_that_is_not_routed_counts_as_the_slowest(capsys, monkeypatch, tmp_path):
    unroutable(monkeypatch, 1)
    path = tmp_path / "figures.json"
    status, lines, _ = run(capsys, "--device", "lfe5u-25f", "--seeds", "3", "--freq", "50", "--json", str(path))
    figures = json.loads(path.read_text())
    assert (status, figures["unrouted"]) == (0, [1])
    assert figures["megahertz"]["median"] == figures["megahertz"]["worst"] <= figures["megahertz"]["best"]
    assert ["unrouted", "seeds", "1:", "0", "MHz", "in", "the", "median"] in lines


def test_an_error_where_no_seed_is_routed(capsys, monkeypatch):
    unroutable(monkeypatch, 1, 2)
    status, lines, errors = run(capsys, "--device", "lfe5u-25f", "--seeds", "2", "--freq", "50")
    assert (status, lines, errors) == (2, [], "error: seed 1: wires are left\n")
