"""The guard between masters that are reset and a memory that is not."""

import cocotb
from cocotb.triggers import Combine, ReadOnly, RisingEdge
from cocotbext.axi import AxiBus, AxiMaster, AxiRam

from hw.config import HardwareConfig
from sim.axi_memory import stall_channels
from sim.streams import generator, parameters, start

SIZE = 4096
CONFIG = HardwareConfig(**parameters())
BUS = CONFIG.bus_bytes
PATIENCE = 2000


class Bench:
    """A master, which `forget` resets, and a memory."""

    def __init__(self, dut):
        self.dut, self.rng = dut, generator("requests")
        dut.forget.value = 0
        self.ram = AxiRam(AxiBus.from_prefix(dut, "outer_"), dut.clk, dut.rst, size=SIZE)
        self.master = AxiMaster(AxiBus.from_prefix(dut, "inner_"), dut.clk, dut.forget, max_burst_len=16)
        for part in (self.ram.read_if, self.ram.write_if, self.master.read_if, self.master.write_if):
            part.log.setLevel("WARNING")
        self.content = bytearray(self.rng.randbytes(SIZE))
        self.ram.write(0, bytes(self.content))

    def stall(self, chance: float) -> None:
        """Let the memory wait in some of the cycles."""
        stall_channels(self.ram, chance, self.rng)

    async def read(self) -> None:
        """A burst out of the upper half."""
        words = self.rng.randint(1, 16)
        first = self.rng.randrange(SIZE // 2, SIZE - words * BUS + 1, BUS)
        found = await self.master.read(first, words * BUS)
        assert found.data == self.content[first:][: len(found.data)]

    async def write(self) -> None:
        """Bytes of one word into the lower half."""
        word, size = self.rng.randrange(0, SIZE // 2, BUS), self.rng.randint(1, BUS)
        first = word + self.rng.randint(0, BUS - size)
        data = self.rng.randbytes(size)
        await self.master.write(first, data)
        self.content[first : first + size] = data


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def requests_pass(dut):
    """Without a reset everything passes, as fast as the memory lets it and with waits."""
    bench = Bench(dut)
    await start(dut)
    for chance in (0.0, 0.5):
        bench.stall(chance)
        for _ in range(60):
            await Combine(*(cocotb.start_soon(task()) for task in (bench.read, bench.read, bench.write)))
        assert not dut.closed.value
    assert bench.ram.read(0, SIZE) == bench.content


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def forgotten_requests_are_ended(dut):
    """A reset of the master in any cycle: the memory is not left waiting, and the next request gets its own answer."""
    bench = Bench(dut)
    await start(dut)
    for number in range(60):
        bench.stall(bench.rng.choice((0.0, 0.3, 0.8)))
        before = bytes(bench.content)
        tasks = [cocotb.start_soon(task()) for task in (bench.read, bench.read, bench.write)]
        for _ in range(number % 30):
            await RisingEdge(dut.clk)
        for task in tasks:
            task.cancel()
        dut.forget.value = 1
        await RisingEdge(dut.clk)
        for cycle in range(PATIENCE):
            dut.forget.value = 0
            await ReadOnly()
            if cycle and not dut.closed.value:
                break
            await RisingEdge(dut.clk)
        assert not dut.closed.value
        await RisingEdge(dut.clk)
        # The word that was being written has come or not, whole.
        bench.content = bytearray(bench.ram.read(0, SIZE))
        changed = [place // BUS for place in range(SIZE) if bench.content[place] != before[place]]
        assert len(set(changed)) <= 1
        await Combine(*(cocotb.start_soon(task()) for task in (bench.read, bench.write)))
        await bench.read()
    assert bench.ram.read(0, SIZE) == bench.content
