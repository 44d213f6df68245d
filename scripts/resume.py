"""Work in points that can be cut off: finished points are kept in a file, one line each, and not done again."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from golden.errors import SaformerError
from scripts.tables import bars

_ROOT = Path(__file__).parents[1]
_SOURCES = ("golden", "hw", "sim")
"""The packages that results depend on."""

_SUFFIXES = (".py", ".cpp", ".vlt")


class ResultsFile:
    """The finished points, in a file of JSON lines.

    The end of a line that was cut off is removed; results of other sources than the present ones count as not there.

    Raises SaformerError when the file cannot be read, or is something else.
    """

    def __init__(self, path: Path):
        self._path = path
        self._sources = source_digest()
        self._results = {}
        try:
            text = path.read_text(encoding="utf-8") if path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise SaformerError(f"cannot read {path} ({reason}): name another file for the results") from None
        for number, line in enumerate(text.split("\n")[:-1], start=1):
            try:
                entry = json.loads(line)
                if entry["sources"] == self._sources:
                    self._results[_key(entry["point"])] = entry["result"]
            except (ValueError, KeyError, TypeError):
                raise SaformerError(f"{path}, line {number}, is not a result: name another file for results") from None
        complete = text.rpartition("\n")[0].encode()
        if text and not text.endswith("\n"):
            os.truncate(path, len(complete) + bool(complete))

    def get(self, point: dict) -> dict | None:
        """Return the result of a point, or None if it is not finished."""
        return self._results.get(_key(point))

    def append(self, point: dict, result: dict) -> None:
        """Keep the result of a point. Raises SaformerError when it cannot be written."""
        line = json.dumps({"sources": self._sources, "point": point, "result": result}) + "\n"
        try:
            with self._path.open("ab", buffering=0) as file:
                file.write(line.encode())
                os.fsync(file.fileno())
        except OSError as error:
            raise SaformerError(f"cannot write {self._path} ({error.strerror}): name another file") from None
        self._results[_key(point)] = result


def source_digest() -> str:
    """Return a digest of the sources that results depend on."""
    digest = hashlib.sha256()
    for path in sorted(
        path for folder in _SOURCES for path in (_ROOT / folder).rglob("*.*") if path.suffix in _SUFFIXES
    ):
        digest.update(str(path.relative_to(_ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def run_points(
    points: Sequence[dict],
    evaluate: Callable[[dict], dict],
    results: ResultsFile,
    executor: Executor | None = None,
    *,
    what: str,
) -> list[dict]:
    """Return ``evaluate`` of every point, from the file or from the executor, and keep it; with a progress bar.

    Without an executor it is done here, one point after the other.
    """
    waiting = [point for point in points if results.get(point) is None]
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with bars(*columns) as bar:
        task = bar.add_task("", total=len(points), completed=len(points) - len(waiting))
        for point, result in _evaluated(waiting, evaluate, executor):
            results.append(point, result)
            bar.advance(task)
    return [results.get(point) for point in points]


def _evaluated(
    points: Sequence[dict], evaluate: Callable[[dict], dict], executor: Executor | None
) -> Iterator[tuple[dict, dict]]:
    """Yield every point with its result, as soon as there is one."""
    if executor is None:
        for point in points:
            yield point, evaluate(point)
        return
    futures = {executor.submit(evaluate, point): point for point in points}
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        for future in futures:
            future.cancel()


def _key(point: dict) -> str:
    return json.dumps(point, sort_keys=True)
