"""Reading settings, and writing files so that a reader never sees half of one."""

import os
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from golden.errors import SaformerError


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`.

    Raises SaformerError: the folder does not exist or cannot be written.
    """
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise SaformerError(
            f"cannot write {path}: {error.strerror}; choose a folder that exists and is writable"
        ) from None
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise SaformerError(f"cannot write {path}: {error.strerror}") from None
    finally:
        Path(temporary).unlink(missing_ok=True)


def read_settings(path: Path) -> dict[str, object]:
    """The keys and values of a TOML file, with the file's name as "name" where it has none.

    Raises SaformerError: the file cannot be read, or is not TOML.
    """
    try:
        return {"name": path.stem, **tomllib.loads(path.read_text(encoding="utf-8"))}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SaformerError(f"{path} is not a readable TOML file: {error}") from None
