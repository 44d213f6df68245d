"""Being the core on its bus."""

import random

from cocotb.handle import HierarchyObject
from cocotb.triggers import ReadOnly, RisingEdge

PATIENCE = 1000
"""Cycles after which a request is given up."""


class BusMaster:
    """One request after the other on the bus whose ports begin with ``prefix``, with noise where nothing counts."""

    def __init__(self, dut: HierarchyObject, rng: random.Random, prefix: str = "bus__"):
        self._dut, self._rng, self._prefix = dut, rng, prefix
        self.cycles = 0  # that the last request took
        self._set(valid=0)

    def _set(self, **values: int) -> None:
        for name, value in values.items():
            getattr(self._dut, self._prefix + name).value = value

    async def _request(self, address: int, mask: int, data: int) -> int:
        self._set(valid=1, address=address, mask=mask, data=data)
        for self.cycles in range(1, PATIENCE):
            await ReadOnly()
            ready = getattr(self._dut, f"{self._prefix}ready").value
            answer = int(getattr(self._dut, f"{self._prefix}answer").value)
            await RisingEdge(self._dut.clk)
            if ready:
                self._set(valid=0, mask=self._rng.getrandbits(4), data=self._rng.getrandbits(32))
                return answer
        raise AssertionError(f"no answer from word {address:#x} in {PATIENCE} cycles")

    async def read(self, address: int) -> int:
        """Read the word at an address (in words)."""
        return await self._request(address, 0, self._rng.getrandbits(32))

    async def write(self, address: int, data: int, mask: int = 0xF) -> None:
        """Write the bytes of ``mask``."""
        await self._request(address, mask, data)


def merge(old: int, new: int, mask: int) -> int:
    """A word of which the bytes of ``mask`` have been written."""
    bits = sum(0xFF << 8 * byte for byte in range(4) if mask >> byte & 1)
    return (old & ~bits) | (new & bits)
