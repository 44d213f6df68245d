"""What cocotb benches share for plain ports: a recorder of every cycle, and memories behind read ports."""

import random
from collections.abc import Sequence
from types import SimpleNamespace

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import ReadOnly, RisingEdge


class Recorder:
    """Records ports, inputs or outputs, in every cycle from now on.

    ``cycles`` holds one namespace for each cycle, with the settled values as unsigned integers, by name of the port.
    """

    def __init__(self, dut: HierarchyObject, names: Sequence[str]):
        self.cycles: list[SimpleNamespace] = []
        self._ports = {name: getattr(dut, name) for name in names}
        self._clock = dut.clk
        self._task = cocotb.start_soon(self._run())

    def stop(self) -> list[SimpleNamespace]:
        """Stop recording and return the cycles."""
        self._task.cancel()
        return self.cycles

    def when(self, name: str) -> list[int]:
        """Return the numbers of the cycles in which a port was not 0."""
        return [number for number, cycle in enumerate(self.cycles) if getattr(cycle, name)]

    async def _run(self) -> None:
        while True:
            await ReadOnly()
            values = {name: int(port.value) for name, port in self._ports.items()}
            self.cycles.append(SimpleNamespace(**values))
            await RisingEdge(self._clock)


class ReadPort:
    """A memory behind the ports ``NAME_address``, ``NAME_data`` and, if it has one, ``NAME_enable`` of a design.

    Data arrives in the cycle after its address. In all other cycles, and for addresses outside ``contents``, there is
    random data: a design must not depend on it.

    Parameters
    ----------
    contents : entries by their address; may be changed at any time
    """

    def __init__(self, dut: HierarchyObject, name: str, contents: dict[int, int], *, rng: random.Random):
        self.contents = contents
        self._address = getattr(dut, f"{name}_address")
        self._data = getattr(dut, f"{name}_data")
        self._enable = getattr(dut, f"{name}_enable", None)
        self._clock = dut.clk
        self._rng = rng
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        while True:
            await ReadOnly()
            reads = self._enable is None or bool(self._enable.value)
            address = int(self._address.value)
            await RisingEdge(self._clock)
            known = reads and address in self.contents
            self._data.value = self.contents[address] if known else self._rng.getrandbits(len(self._data))
