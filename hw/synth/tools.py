"""The external tools: how they are run, where their results are kept."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import platformdirs

from golden.errors import SaformerError

LOG_LINES = 20
"""Lines of a failing tool's output that the error shows."""

YOSYS_LOG = "yosys.log"
"""What Yosys prints, in the folder that it ran in."""

# A pyosys error ends the process that it happens in, so it gets one of its own.
_YOSYS = f"""
import sys
from pyosys import libyosys as ys
design = ys.Design()
for command in sys.argv[1:]:
    ys.Pass.call(design, "tee -q -a {YOSYS_LOG} " + command)
"""


def cache_dir() -> Path:
    """Return the folder of cached builds: ``SAFORMER_CACHE``, or the user's cache folder."""
    return Path(os.environ.get("SAFORMER_CACHE") or platformdirs.user_cache_dir("saformer"))


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
        raise SaformerError(f"{Path(words[0]).name} failed with status {result.returncode}:\n{_tail(result.stdout)}")
    return result.stdout


def run_yosys(commands: Sequence[str], *, cwd: Path) -> str:
    """Run Yosys commands in ``cwd`` and return what they print.

    Raises SaformerError with the end of the output when one of them fails.
    """
    log = cwd / YOSYS_LOG
    log.write_text("")
    command = [sys.executable, "-c", _YOSYS, *commands]
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    text = log.read_text()
    if result.returncode:
        raise SaformerError(f"Yosys failed with status {result.returncode}:\n{_tail(text + result.stderr)}")
    return text


def _tail(output: str) -> str:
    return "\n".join(output.splitlines()[-LOG_LINES:])
