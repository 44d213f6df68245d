"""Verilog, its builds and their cache."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from golden.errors import SaformerError
from hw.synth.tools import cache_dir, cached_folder, run_tool
from sim.build import Recipe, build
from sim.harness import describe
from sim.verilog import cached_verilog, component_ports, to_verilog
from tests.sim.components import Fifo, Reporter

ROOT = Path(__file__).parents[2]
PRINT = "from sim.verilog import to_verilog; from tests.sim.components import Fifo; print(to_verilog(Fifo()))"
BROKEN = "module top(input clk, input rst, output o); assign o = clk + ; endmodule\n"
WIRE = "module top(input clk, output o); assign o = ~clk; endmodule\n"
MAIN = '#include "Vtop.h"\nint main() { Vtop top; top.clk = 0; top.eval(); return top.o ? 0 : 1; }\n'


@pytest.fixture
def recipe():
    return Recipe(product="program", flags=(), variables=("OPT_GLOBAL=-O0",), sources={"main.cpp": MAIN})


def test_verilog_is_the_same_in_every_process_and_names_no_folder():
    texts = set()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        output = subprocess.run([sys.executable, "-c", PRINT], cwd=ROOT, env=env, capture_output=True, text=True)
        texts.add(output.stdout)
    assert texts == {to_verilog(Fifo()) + "\n"}
    assert str(ROOT) not in texts.pop()


def test_cached_verilog_depends_on_the_identity(tmp_path, monkeypatch):
    monkeypatch.setenv("SAFORMER_CACHE", str(tmp_path))
    text = cached_verilog(Fifo(), identity="sound")
    assert text == to_verilog(Fifo())
    faulty = cached_verilog(Fifo(fault="drops items"), identity="faulty")
    assert faulty == to_verilog(Fifo(fault="drops items")) != text
    assert cached_verilog(Fifo(), identity="sound") == text
    assert len(list((tmp_path / "verilog").iterdir())) == 2


def test_ports_are_named_as_in_the_verilog():
    ports = component_ports(Reporter(count=2))
    assert ports["i__ready"].is_input is False
    assert ports["report__payload"].width == 49
    assert "report__ready" not in ports


def test_interface_separates_streams_and_plain_ports():
    interface = describe(Reporter(count=2))
    assert [port.name for port in interface.sources] == ["i__payload", "wide__payload"]
    assert [port.name for port in interface.sinks] == ["echo__payload", "report__payload"]
    assert interface.waiting == 1
    assert [port.name for port in interface.inputs] == ["start", "offset"]
    assert [port.name for port in interface.outputs] == ["total", "done"]


def test_build_is_cached_by_content(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("SAFORMER_CACHE", str(tmp_path))
    program = build(verilog=WIRE, recipe=recipe)
    assert subprocess.run([program], check=False).returncode == 0
    built = program.stat().st_mtime_ns
    assert build(verilog=WIRE, recipe=recipe) == program
    assert program.stat().st_mtime_ns == built
    inverted = build(verilog=WIRE.replace("~clk", "clk"), recipe=recipe)
    assert subprocess.run([inverted], check=False).returncode == 1


def test_who_wants_the_same_waits_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SAFORMER_CACHE", str(tmp_path))
    started, worked = threading.Barrier(3), []

    def work(folder):
        worked.append(folder)
        time.sleep(0.2)
        (folder / "file").write_text("whole")

    def want():
        started.wait()
        assert (cached_folder("kind", "key", work, keep=["file"]) / "file").read_text() == "whole"

    with ThreadPoolExecutor() as pool:
        for wanting in [pool.submit(want) for _ in range(3)]:
            wanting.result()
    assert len(worked) == 1


def test_failed_build_shows_the_message_and_leaves_nothing(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("SAFORMER_CACHE", str(tmp_path))
    with pytest.raises(SaformerError, match="syntax error"):
        build(verilog=BROKEN, recipe=recipe)
    assert list((tmp_path / "models").iterdir()) == []


def test_warnings_stop_the_build(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("SAFORMER_CACHE", str(tmp_path))
    latch = "module top(input clk, output reg o); always @* if (clk) o = 1'b1; endmodule\n"
    with pytest.raises(SaformerError, match="LATCH"):
        build(verilog=latch, recipe=recipe)


def test_unwritable_cache_is_an_error(recipe, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SAFORMER_CACHE", str(tmp_path / "file"))
    with pytest.raises(SaformerError, match="set SAFORMER_CACHE to another folder"):
        build(verilog=WIRE, recipe=recipe)


def test_cache_follows_the_environment(monkeypatch):
    monkeypatch.delenv("SAFORMER_CACHE", raising=False)
    assert cache_dir().name == "saformer"
    monkeypatch.setenv("SAFORMER_CACHE", "somewhere")
    assert cache_dir() == Path("somewhere")


def test_a_tool_is_watched_line_by_line(tmp_path):
    lines = []
    assert run_tool([sys.executable, "-c", "print('a\\nb')"], cwd=tmp_path, watch=lines.append) == "a\nb\n"
    assert lines == ["a\n", "b\n"]


def test_a_tool_ends_with_who_watches_it(tmp_path):
    forever = "import time\nprint('begun', flush=True)\nwhile True: time.sleep(1)"

    def interrupt(line):
        raise KeyboardInterrupt(line)

    with pytest.raises(KeyboardInterrupt, match="begun"):
        run_tool([sys.executable, "-c", forever], cwd=tmp_path, watch=interrupt)


def test_missing_tool_is_an_error(tmp_path):
    with pytest.raises(SaformerError, match="cannot run no-such-tool"):
        run_tool(["no-such-tool"], cwd=tmp_path)
