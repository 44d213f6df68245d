"""A bench that looks inside."""

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from sim.streams import StreamSource, start


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def sees_the_level_inside(dut):
    dut.o__ready.value = 0
    source = StreamSource(dut, "i")
    await start(dut)
    source.put([1, 2])
    await source.drained()
    await RisingEdge(dut.clk)
    await ReadOnly()
    assert dut.fifo.level.value == 2
