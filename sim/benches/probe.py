"""Recording the ports of a design in every cycle, so that a bench can compare whole histories afterwards."""

from collections.abc import Sequence
from types import SimpleNamespace

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import ReadOnly, RisingEdge


class Probe:
    """Records ports, inputs or outputs, from this cycle on.

    ``cycles`` holds one namespace for each cycle, with the settled values as unsigned integers, by name of the port.
    """

    def __init__(self, dut: HierarchyObject, names: Sequence[str]):
        self.cycles: list[SimpleNamespace] = []
        self._ports = {name: getattr(dut, name) for name in names}
        self._clock = dut.clk
        self._task = cocotb.start_soon(self._run())

    def stop(self) -> None:
        """End the recording."""
        self._task.cancel()

    def when(self, name: str) -> list[int]:
        """Return the numbers of the cycles in which a port was not 0."""
        return [number for number, cycle in enumerate(self.cycles) if getattr(cycle, name)]

    def values(self, name: str, when: str) -> list[int]:
        """Return what a port held in the cycles in which another one was not 0."""
        return [getattr(cycle, name) for cycle in self.cycles if getattr(cycle, when)]

    async def _run(self) -> None:
        while True:
            await ReadOnly()
            values = {name: int(port.value) for name, port in self._ports.items()}
            self.cycles.append(SimpleNamespace(**values))
            await RisingEdge(self._clock)
