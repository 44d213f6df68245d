"""The external tools: how they are run, where their results are kept."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import platformdirs
from filelock import FileLock

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


def cached_folder(kind: str, key: str, work: Callable[[Path], None], *, keep: Sequence[str]) -> Path:
    """Return the folder of a result in the cache, letting ``work`` fill it if it is not there yet.

    The work is done in a temporary folder that is renamed when it is complete, so an interrupted one leaves nothing
    that looks finished; only the files of ``keep`` stay. A process that wants what another one works on waits for it.
    Raises SaformerError when the cache cannot be written.
    """
    target, locks = cache_dir() / kind / key, cache_dir() / "locks"
    if target.is_dir():
        return target
    try:
        for needed in (target.parent, locks):
            needed.mkdir(parents=True, exist_ok=True)
        held = FileLock(locks / f"{kind}-{key}").acquire()
        folder = Path(tempfile.mkdtemp(dir=target.parent, prefix="work-"))
    except OSError as error:
        raise SaformerError(
            f"cannot write the build cache {target.parent} ({error.strerror}): set SAFORMER_CACHE to another folder"
        ) from error
    with held:
        try:
            if not target.is_dir():
                work(folder)
                _remove_all_but(keep, folder)
                folder.rename(target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return target


def _remove_all_but(keep: Sequence[str], folder: Path) -> None:
    for path in folder.iterdir():
        if path.name not in keep:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def rename_folder(folder: Path, target: Path) -> None:
    """Rename a complete folder to ``target``, or drop it if another process was faster with an equal one."""
    try:
        folder.rename(target)
    except OSError:
        shutil.rmtree(folder)
        if not target.is_dir():
            raise


def run_tool(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    watch: Callable[[str], object] | None = None,
) -> str:
    """Run a tool in ``cwd`` with additional environment variables and return what it prints.

    ``watch`` is called with every line as it comes. Raises SaformerError with the end of the output when the tool
    cannot be started or fails.
    """
    words, lines = [str(word) for word in command], []
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    try:
        process = subprocess.Popen(words, cwd=cwd, env={**os.environ, **(env or {})}, **pipes)
    except OSError as error:
        raise SaformerError(f"cannot run {words[0]} ({error.strerror}): run `make install`") from error
    with process:
        try:
            for line in process.stdout:
                lines.append(line)
                if watch is not None:
                    watch(line)
        except BaseException:
            process.kill()
            raise
    output = "".join(lines)
    if process.returncode:
        raise SaformerError(f"{Path(words[0]).name} failed with status {process.returncode}:\n{_tail(output)}")
    return output


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
