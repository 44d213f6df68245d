"""``saformer load``: a bitstream onto a board."""

import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from golden.errors import SaformerError
from hw.boards.catalogue import find_board

LOADER = "openFPGALoader"


def load(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A bitstream of `saformer build`.")],
    board: Annotated[str, typer.Option(metavar="B", help="The board.")] = "ulx3s-85f",
) -> None:
    """Load a bitstream onto a board, with openFPGALoader."""
    target = find_board(board)
    if not file.is_file():
        raise SaformerError(f"no bitstream {file}: make one with `saformer build --board {board}`")
    if shutil.which(LOADER) is None:
        raise SaformerError(f"{LOADER} is not installed: install the package openfpgaloader (Debian, Ubuntu, Homebrew)")
    status = subprocess.run([LOADER, *target.flasher, str(file)], check=False).returncode
    if status:
        raise SaformerError(f"{LOADER} ended with status {status}: check the cable, and that nothing uses the port")
