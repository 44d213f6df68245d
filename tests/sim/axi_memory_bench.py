"""A bench of the external memory in cocotb: when addresses and words are transferred."""

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge
from cocotbext.axi import AxiReadBus

from sim.axi_memory import AxiMemory
from sim.streams import generator, parameters, start


async def transfers(dut, cycles):
    """The cycles in which addresses were taken; and of words, with the words."""
    asked, got = [], []
    for cycle in range(cycles):
        await FallingEdge(dut.clk)
        if dut.bus_arvalid.value and dut.bus_arready.value:
            asked.append(cycle)
        if dut.bus_rvalid.value and dut.bus_rready.value:
            got.append((cycle, int(dut.bus_rdata.value)))
    return asked, got


def contents():
    return b"".join((1000 + word).to_bytes(4, "little") for word in range(256))


async def run(dut, *, bursts, cycles):
    """Ask for bursts from an idle memory."""
    values = parameters()
    bus = AxiReadBus.from_prefix(dut, "bus")
    settings = {name: values[name] for name in ("latency", "bandwidth", "stall")}
    dut.count.value = 0
    AxiMemory(bus, dut.clk, dut.rst, contents=contents(), rng=generator("memory"), **settings)
    await start(dut)
    await ClockCycles(dut.clk, 5)
    dut.count.value = bursts
    asked, got = await transfers(dut, cycles)
    assert len(asked) == bursts
    assert [word for _, word in got] == list(range(1000, 1000 + bursts * values["length"]))
    return asked, [cycle for cycle, _ in got]


EXACT = parameters()["bandwidth"] == 1 and parameters()["stall"] == 0


@cocotb.test(timeout_time=1, timeout_unit="ms", skip=not EXACT)
async def words_come_after_the_latency_and_without_gaps(dut):
    latency, length = parameters()["latency"], parameters()["length"]
    asked, got = await run(dut, bursts=4, cycles=200)
    due = 0
    for number, first in enumerate(asked):
        due = max(due, first + 2 + latency)
        assert got[number * length : (number + 1) * length] == list(range(due, due + length))
        due += length


@cocotb.test(timeout_time=1, timeout_unit="ms", skip=EXACT)
async def bandwidth_and_stalls_are_kept(dut):
    values = parameters()
    _, got = await run(dut, bursts=4, cycles=1500)
    share = (len(got) - 1) / (got[-1] - got[0])
    if values["stall"]:
        assert share < values["bandwidth"] * (1 - values["stall"] / 2)
    else:
        assert 0.9 * values["bandwidth"] < share <= values["bandwidth"] + 1 / len(got)
