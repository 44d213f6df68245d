"""Run a cocotb bench on an Amaranth component."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, STDOUT, run
from xml.etree import ElementTree

import cocotb_tools.config
import find_libpython
from amaranth.lib import wiring

from golden.errors import SaformerError
from hw.synth.tools import LOG_LINES
from sim.build import Recipe, build
from sim.verilog import cached_verilog, component_ports, to_verilog

PARAMETERS = "SAFORMER_BENCH"
"""Environment variable that carries a bench's parameters, as JSON."""

DEFAULT_SEED = 1
"""Seed of the benches where neither the caller nor ``SAFORMER_SEED`` gives one."""


@dataclass(frozen=True)
class BenchResult:
    """Outcome of a bench: names of the tests that ran, and the simulator's output."""

    tests: tuple[str, ...]
    log: str


def run_bench(
    component: wiring.Component,
    bench: str,
    *,
    parameters: Mapping[str, object] | None = None,
    seed: int | None = None,
    internals: bool = False,
    timeout: float | None = 900,
    identity: str | None = None,
) -> BenchResult:
    """Run the cocotb tests of module ``bench`` on ``component`` and return their names and log.

    Parameters
    ----------
    component : the design; its clock is ``clk``, its reset ``rst``, its ports are named as in the Verilog
    bench : name of an importable module with cocotb tests
    parameters : values for the bench (anything JSON can hold), read there with `sim.streams.parameters`
    seed : of all random choices of the bench; ``SAFORMER_SEED`` or 1 if not given
    internals : whether the bench can also see the signals inside (slower)
    timeout : seconds until the simulator is ended, or None
    identity : for `sim.verilog.cached_verilog`, or None to convert the component anew

    Raises AssertionError with the failing tests and the end of the log.
    """
    verilog = to_verilog(component) if identity is None else cached_verilog(component, identity=identity)
    program = build(verilog=verilog, recipe=_recipe(component, internals=internals))
    seed = int(os.environ.get("SAFORMER_SEED", DEFAULT_SEED)) if seed is None else seed
    print(f"{bench}: seed {seed}")
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.xml")
        env = _environment(bench, results, seed) | {PARAMETERS: json.dumps(dict(parameters or {}))}
        process = run(
            [program], cwd=folder, env=env, stdout=PIPE, stderr=STDOUT, text=True, timeout=timeout, check=False
        )
        return _evaluate(bench, seed, results, process.stdout)


def _recipe(component: wiring.Component, *, internals: bool) -> Recipe:
    """Return how a component is built for cocotb."""
    libraries = cocotb_tools.config.libs_dir
    harness = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    link = f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"
    flags = ["--vpi", "--x-assign", "fast", "--noassert", "--timescale", "1ns/1ps", "-LDFLAGS", link]
    names = ["clk", "rst", *component_ports(component)]
    visible = [f'public_flat_rw -module "top" -var "{name}"' for name in names]
    return Recipe(
        product="bench",
        flags=(*flags, "--public-flat-rw") if internals else tuple(flags),
        variables=("OPT_FAST=-O1", "OPT_SLOW=-O0", "OPT_GLOBAL=-O1"),
        sources={} if internals else {"public.vlt": "\n".join(["`verilator_config", *visible, ""])},
        externals=(str(harness),),
    )


def _environment(bench: str, results: Path, seed: int) -> dict[str, str]:
    """Return the environment in which the simulator finds Python, the bench and its settings."""
    library = os.environ.get("LIBPYTHON_LOC") or find_libpython.find_libpython()
    if library is None:
        raise SaformerError("Python's shared library is missing: run `python3 scripts/check_system.py`")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYGPI_PYTHON_BIN": sys.executable,
        "GPI_USERS": f"{library};{cocotb_tools.config.pygpi_entry_point()}",
        "TOPLEVEL_LANG": "verilog",
        "COCOTB_TOPLEVEL": "top",
        "COCOTB_TEST_MODULES": bench,
        "COCOTB_RESULTS_FILE": str(results),
        "COCOTB_RANDOM_SEED": str(seed),
        # Verilator applies written values where the simulator's scheduler says so.
        "COCOTB_TRUST_INERTIAL_WRITES": "1",
    }


def _evaluate(bench: str, seed: int, results: Path, log: str) -> BenchResult:
    """Return the names of the tests that ran. Raises AssertionError where one failed, or none ran."""
    tail = "\n".join(log.splitlines()[-3 * LOG_LINES :])
    if not results.exists():
        raise AssertionError(f"{bench} (seed {seed}) ended without results:\n{tail}")
    cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    failed = [case.get("name") for case in cases if case.find("failure") is not None or case.find("error") is not None]
    if failed:
        raise AssertionError(f"{bench} (seed {seed}) failed in {', '.join(map(str, failed))}:\n{tail}")
    if not cases:
        raise AssertionError(f"{bench} (seed {seed}) has no tests:\n{tail}")
    return BenchResult(tuple(str(case.get("name")) for case in cases), log)
