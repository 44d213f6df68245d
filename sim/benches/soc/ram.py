"""The SoC's memories against a list: on the bus of the core, and behind AXI4."""

import cocotb
from cocotb.triggers import Combine, RisingEdge
from cocotbext.axi import AxiBus, AxiMaster

from sim.axi_memory import stall_channels
from sim.benches.soc.master import BusMaster, merge
from sim.streams import generator, parameters, reset, start

DEPTH, INIT, SIZE, BUS = (parameters()[name] for name in ("depth", "init", "size", "bus_bytes"))


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def words_of_the_core(dut):
    """What is there from the start, words and bytes that are written; through a reset too."""
    master, rng = BusMaster(dut, generator("master"), "firmware__bus__"), generator("words")
    await start(dut)
    words = [*INIT, *[0] * (DEPTH - len(INIT))]
    for number in range(2000):
        address = rng.randrange(DEPTH)
        if rng.random() < 0.5:
            assert await master.read(address) == words[address]
        else:
            data, mask = rng.getrandbits(32), rng.randint(1, 15)
            await master.write(address, data, mask)
            words[address] = merge(words[address], data, mask)
        assert master.cycles == 2
        if number % 500 == 0:
            await reset(dut)
        for _ in range(rng.choice((0, 0, 2))):
            await RisingEdge(dut.clk)


def attach(dut) -> AxiMaster:
    master = AxiMaster(AxiBus.from_prefix(dut, "program__bus_"), dut.clk, dut.rst)
    for interface in (master.read_if, master.write_if):
        interface.log.setLevel("WARNING")
    return master


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def bursts(dut):
    """Reads and writes of any bytes, side by side, with a master that waits seldom and often."""
    master, rng = attach(dut), generator("bursts")
    await start(dut)
    content = bytearray(rng.randbytes(SIZE))
    await master.write(0, bytes(content))
    for stall in (0.0, 0.5):
        stall_channels(master, stall, rng)
        for _ in range(40):
            # A write goes to one half, a read to the other.
            half = rng.getrandbits(1) * (SIZE // 2)
            first, size = rng.randrange(SIZE // 2), rng.randint(1, 40 * BUS)
            data = rng.randbytes(min(size, SIZE // 2 - first))
            written = cocotb.start_soon(master.write(half + first, data))
            start_of_read = rng.randrange(SIZE // 2)
            count = min(rng.randint(1, 40 * BUS), SIZE // 2 - start_of_read)
            other = SIZE // 2 - half
            read = cocotb.start_soon(master.read(other + start_of_read, count))
            await Combine(written, read)
            content[half + first : half + first + len(data)] = data
            assert read.result().data == content[other + start_of_read :][:count]
    assert (await master.read(0, SIZE)).data == content


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def timing(dut):
    """The first word two cycles after its address, then one a cycle; a burst in words + 1 cycles."""
    dut.program__bus__rready.value = 1
    dut.program__bus__awvalid.value = dut.program__bus__wvalid.value = 0
    await start(dut)
    seen = []
    dut.program__bus__arvalid.value, dut.program__bus__araddr.value, dut.program__bus__arlen.value = 1, 0, 3
    for _ in range(12):
        await RisingEdge(dut.clk)
        seen.append((int(dut.program__bus__arready.value), int(dut.program__bus__rvalid.value)))
    assert [ready for ready, _ in seen[:10]] == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert [valid for _, valid in seen[:10]] == [0, 0, 1, 1, 1, 1, 0, 1, 1, 1]
