"""A simulated board behind a pseudo-terminal: a host speaks to it as to a serial port."""

import os
import select
import threading
import tty
from typing import Self

from sim.board import CHUNK, CYCLES_PER_SECOND, BoardLine, SimulatedBoard
from sim.native import NativeModel


class BoardTerminal:
    """Runs a board in a thread of its own, as long as it is entered.

    A pseudo-terminal carries bytes, not a line: a break does not reach the board.

    Parameters
    ----------
    board : the design

    Members
    -------
    port : name of the serial port
    cycles_per_second : mean speed of the simulation so far

    Raises SaformerError when the design does not build.
    """

    def __init__(self, board: SimulatedBoard):
        self._model = NativeModel(board)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        # What nobody reads is lost, as on a line.
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        self._thread.join()
        self._model.close()
        os.close(self._slave)
        os.close(self._master)

    @property
    def cycles_per_second(self) -> float:
        """Mean speed of the simulation so far."""
        return self._model.cycles_per_second

    def _serve(self):
        line = BoardLine(self._model)
        while not self._ended.is_set():
            if select.select([self._master], [], [], 0)[0]:
                line.send(os.read(self._master, 4096))
            if found := line.receive(CHUNK / CYCLES_PER_SECOND):
                try:
                    os.write(self._master, found)
                except BlockingIOError:
                    continue
