"""Playing a design cycle by cycle: inputs at its beginning, outputs when they have settled."""

from collections.abc import Sequence
from types import SimpleNamespace

from cocotb.handle import HierarchyObject
from cocotb.triggers import ReadOnly, RisingEdge


class Clocked:
    """A design, or the part of it whose ports start with ``prefix``, that lives one cycle with each call of `cycle`."""

    def __init__(self, dut: HierarchyObject, outputs: Sequence[str], *, prefix: str = ""):
        self._dut = dut
        self._prefix = prefix
        self._outputs = {name: getattr(dut, prefix + name) for name in outputs}

    def set(self, **inputs: int) -> None:
        """Set inputs, by name, to unsigned integers."""
        for name, value in inputs.items():
            getattr(self._dut, self._prefix + name).value = value

    async def cycle(self, **inputs: int) -> SimpleNamespace:
        """Set inputs, which keep their values, and return what the outputs are in this cycle."""
        self.set(**inputs)
        await ReadOnly()
        seen = SimpleNamespace(**{name: int(port.value) for name, port in self._outputs.items()})
        await RisingEdge(self._dut.clk)
        return seen
