"""The boards by name."""

from golden.errors import SaformerError
from hw.boards.board import Board
from hw.boards.ecpix5 import ECPIX5_85F
from hw.boards.icebreaker import ICEBREAKER
from hw.boards.icesugar_pro import ICESUGAR_PRO
from hw.boards.tang_primer_20k import TANG_PRIMER_20K
from hw.boards.ulx3s import ULX3S_85F

BOARDS = {board.name: board for board in (ULX3S_85F, ECPIX5_85F, ICESUGAR_PRO, TANG_PRIMER_20K, ICEBREAKER)}


def find_board(name: str) -> Board:
    """Return a board by its name. Raises SaformerError for one that is not known."""
    try:
        return BOARDS[name]
    except KeyError:
        raise SaformerError(f"no board {name!r}: use one of {', '.join(BOARDS)}") from None
