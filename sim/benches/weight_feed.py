"""Being the reader of external weights beside an engine."""

import random

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import ReadOnly, RisingEdge

from hw.beats import fill_layout, rows_shape
from hw.config import WEIGHT_BITS, HardwareConfig
from sim.streams import pack


class WeightFeed:
    """Fills the weight buffer with rows, in order and as far as it has room, and says how many are there.

    Parameters
    ----------
    rng : source of the stalls

    ``stall`` is the probability of a cycle without a word, ``group_rows`` the rows that a ``release`` of the design
    gives back.
    """

    def __init__(self, dut: HierarchyObject, config: HardwareConfig, rng: random.Random):
        self.stall = 0.0
        self.group_rows = 0
        self._inferences = 0
        self._counted = 2 ** rows_shape(config).width
        self._dut, self._config, self._rng = dut, config, rng
        self.restart()
        cocotb.start_soon(self._run())

    def restart(self) -> None:
        """Begin an inference: forget all rows."""
        self.rows: list[list[int]] = []
        self._word, self._ready, self._released = 0, 0, 0
        self._inferences += 1
        self._dut.rows_ready.value = 0

    def put(self, rows: list[list[int]]) -> int:
        """Append rows of weights to what will be sent; return the number of the first one."""
        self.rows += rows
        return len(self.rows) - len(rows)

    async def filled(self) -> None:
        """Wait until every row that there is room for has arrived."""
        while self._ready < min(len(self.rows), self._released + self._config.weight_depth):
            await RisingEdge(self._dut.clk)

    async def _run(self) -> None:
        words, bus = self._config.row_words, self._config.bus_bytes
        while True:
            inference = self._inferences
            row, word = divmod(self._word, words)
            room = row < min(len(self.rows), self._released + self._config.weight_depth)
            valid = room and self._rng.random() >= self.stall
            self._dut.fill__valid.value = int(valid)
            if valid:
                data = pack(self.rows[row][word * bus : (word + 1) * bus], WEIGHT_BITS)
                fields = {"row": row, "word": word, "data": data}
                self._dut.fill__payload.value = fill_layout(self._config).const(fields).as_bits()
            await ReadOnly()
            released = self.group_rows if self._dut.release.value else 0
            await RisingEdge(self._dut.clk)
            if inference == self._inferences:
                self._word += valid
                self._released += released
            self._ready = self._word // words
            self._dut.rows_ready.value = self._ready % self._counted
