"""Files that a command writes: checked before the work starts, written whole or not at all."""

import json
import tempfile
from pathlib import Path

from golden.errors import SaformerError
from golden.files import write_atomically


def ensure_writable(*paths: Path | None) -> None:
    """Check that every given file could be written. Raises SaformerError for the first that could not."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise SaformerError(f"cannot write {path}: it is a folder; name a file")
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise SaformerError(
                f"cannot write {path} ({error.strerror}): choose a folder that exists and is writable"
            ) from error


def ensure_folder(folder: Path) -> None:
    """Make a folder that can be written to. Raises SaformerError when that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SaformerError(f"cannot make the folder {folder} ({error.strerror}): name another one") from error
    ensure_writable(folder / "file")


def write_json(path: Path, values: dict) -> None:
    """Write values as JSON. Raises SaformerError when the file cannot be written."""
    write_text(path, json.dumps(values, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file. Raises SaformerError when it cannot be written."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file. Raises SaformerError when it cannot be written."""
    write_atomically(path, lambda file: file.write(content))
