"""Synthesis and routing: what is counted, what is cached, what is said of a failure."""

import re

import pytest

from golden.errors import SaformerError
from hw.synth import flow
from hw.synth.devices import DEVICES, find_device
from hw.synth.figures import (
    SHARED,
    WHOLE,
    CriticalPath,
    by_component,
    clock,
    critical_path,
    limit,
    misplaced,
)
from hw.synth.flow import TOP, UnroutableError, closure, hierarchy, memory_depths, place_and_route, synthesise
from hw.synth.harness import Harness
from hw.synth.rtlil import to_rtlil
from hw.synth.tools import cache_dir
from tests.hw.synth.samples import Adder, Pair, Store

ECP5 = DEVICES["lfe5u-25f"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SAFORMER_CACHE", str(tmp_path))


def test_an_unknown_device_is_named_with_the_known_ones():
    with pytest.raises(SaformerError, match=r"^no device 'xc7': use one of lfe5u-85f, .*, gw1n-9$"):
        find_device("xc7")


def test_resources_are_counted_by_component():
    design = to_rtlil(Pair())
    assert hierarchy(design)[TOP] == {"inner": "top.inner"}
    whole, inner = synthesise(design, ECP5), synthesise(design, ECP5, top="top.inner")
    usage = by_component({WHOLE: whole, "inner": inner}, ECP5)
    # Sixteen bits are eight carry cells of two LUTs each.
    assert usage["inner"] == {"lut": 16, "ff": 16, "block": 0}
    assert usage[WHOLE]["ff"] == 64
    assert usage[SHARED] == {name: usage[WHOLE][name] - usage["inner"][name] for name in usage[WHOLE]}
    assert limit({"lut": 24, "ff": 24, "block": 28}, ECP5) == ("block", 0.5)


def test_what_only_an_observer_sees_disappears():
    figures = [synthesise(to_rtlil(Pair(), without=names), ECP5) for names in ((), ("trace_",))]
    assert [ECP5.usage(netlist.cells)["ff"] for netlist in figures] == [64, 48]


def test_a_component_does_not_depend_on_its_neighbours():
    design, altered = to_rtlil(Pair()), to_rtlil(Pair(), without=("trace_",))
    assert design != altered
    assert closure(design, "top.inner") == closure(altered, "top.inner")
    assert closure(design, TOP) != closure(altered, TOP)


@pytest.mark.parametrize("name", ["lfe5u-25f", "up5k", "gw2a-18"])
def test_a_memory_becomes_block_ram(name):
    design, device = to_rtlil(Store(depth=512)), DEVICES[name]
    netlist = synthesise(design, device)
    assert device.usage(netlist.cells)["block"] > 0
    assert misplaced(netlist, memory_depths(design, TOP)) == {}


def test_memories_in_the_wrong_place_are_named():
    for store, reason in (
        (Store(depth=256, registered=False), r"256 entries in TRELLIS_DPR16X4, not in block RAM"),
        (Store(depth=16, style="block"), r"16 entries in block RAM"),
        (Store(depth=128, style="registers"), r"128 entries in registers, not in block RAM"),
    ):
        design = to_rtlil(store)
        assert misplaced(synthesise(design, ECP5), memory_depths(design, TOP)) == {"top.cells": reason}


def test_a_design_is_routed_once(monkeypatch):
    netlist = synthesise(to_rtlil(Pair()), ECP5)
    stages = []
    report = place_and_route(netlist, ECP5, seed=1, megahertz=50, watch=stages.append)
    assert stages[0] == "placement 1"
    assert re.fullmatch(r"routing \d+, 0 wires to move", stages[-1])
    rate = clock([report, {"fmax": {"clk": {"achieved": 7.0}}}, {"fmax": {"clk": {"achieved": 9.0}}}])
    assert rate == {"median": 9.0, "worst": 7.0, "best": report["fmax"]["clk"]["achieved"]}
    path = critical_path(report)
    assert {path.start.split("[")[0], path.end.split("[")[0]} <= {"first", "total", "inner.total", "doubled"}
    assert path.logic > 0
    assert path.routing > 0
    monkeypatch.setattr(flow, "run_tool", None)
    assert place_and_route(netlist, ECP5, seed=1, megahertz=50) == report
    with pytest.raises(TypeError):
        place_and_route(netlist, ECP5, seed=2, megahertz=50)


def test_a_path_is_told_in_words():
    path = CriticalPath(start="a.b", end="c.d", components=("a", "c"), cells=3, logic=1.25, routing=2.5)
    assert str(path) == "from a.b through 3 cells in a, c to c.d: 3.8 ns, 1.2 of logic and 2.5 of routing"


@pytest.mark.parametrize("name", ["up5k", "gw2a-18"])
def test_a_device_without_enough_pins_gets_shift_registers(name):
    device = DEVICES[name]
    design = to_rtlil(Harness(design=Adder()))
    netlist = synthesise(design, device)
    # 32 inputs, 16 outputs, and the sum.
    assert device.usage(netlist.cells)["ff"] == 32 + 16 + 16
    assert clock([place_and_route(netlist, device, seed=1, megahertz=12)])["worst"] > 0


@pytest.mark.parametrize(
    ("rounds", "message"),
    [
        (((1, 300), (99, 200), (198, 200), (199, 200)), "100 rounds of the router left 200 wires that two nets want"),
        (((1, 300), (99, 2), (199, 2), (598, 2), (599, 2)), "500 rounds of the router left 2 wires that two nets want"),
    ],
)
def test_a_router_that_does_not_end_is_stopped(rounds, message, monkeypatch, tmp_path):
    tool = tmp_path / "router"
    lines = [f"echo 'Info:     iter={number} wires=9 overused={left}'" for number, left in rounds]
    tool.write_text("\n".join(["#!/bin/sh", *lines, "exec sleep 60", ""]))
    tool.chmod(0o755)
    monkeypatch.setattr(flow, "_installed", lambda command: tool)
    stages = []
    with pytest.raises(UnroutableError, match=message):
        place_and_route(synthesise(to_rtlil(Pair()), ECP5), ECP5, seed=1, megahertz=100, watch=stages.append)
    assert stages == [f"routing {number}, {left} wires to move" for number, left in rounds]


def test_a_failing_tool_is_quoted():
    with pytest.raises(SaformerError, match=r"(?s)Yosys failed with status 1:\n.*ERROR"):
        synthesise("module \\top\nnonsense\nend\n", ECP5)
    design = to_rtlil(Harness(design=Store(depth=1 << 16)))
    with pytest.raises(SaformerError, match=r"(?s)nextpnr-ice40 failed with status"):
        place_and_route(synthesise(design, DEVICES["up5k"]), DEVICES["up5k"], seed=1, megahertz=12)
    assert not list((cache_dir() / "routed").iterdir())
