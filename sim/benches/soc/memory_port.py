"""The way to program memory: the core and the accelerator at the same time, before a memory that waits."""

import cocotb
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiBus, AxiMasterRead, AxiRam, AxiReadBus

from hw.config import HardwareConfig
from sim.axi_memory import stall_channels
from sim.benches.soc.master import BusMaster, merge
from sim.streams import generator, parameters, reset, start

SIZE = 4096
CONFIG = HardwareConfig(**parameters())


class Bench:
    """Both masters and the memory. The core writes to the lower half alone, so that a burst has one right answer."""

    def __init__(self, dut):
        self.dut, self.rng = dut, generator("requests")
        self.ram = AxiRam(AxiBus.from_prefix(dut, "memory_"), dut.clk, dut.rst, size=SIZE)
        self.accelerator = AxiMasterRead(AxiReadBus.from_prefix(dut, "accelerator_"), dut.clk, dut.forget)
        for part in (self.ram.read_if, self.ram.write_if, self.accelerator):
            part.log.setLevel("WARNING")
        self.core = BusMaster(dut, generator("core"), "core__")
        self.content = bytearray(self.rng.randbytes(SIZE))
        self.ram.write(0, bytes(self.content))
        self.bursts = 0
        dut.forget.value = 0

    def stall(self, chance: float) -> None:
        """Let the memory wait in some of the cycles."""
        stall_channels(self.ram, chance, self.rng)

    def word(self, address: int) -> int:
        return int.from_bytes(self.content[4 * address :][:4], "little")

    async def stream(self, count: int) -> None:
        """Bursts of the accelerator, out of the upper half."""
        for _ in range(count):
            words = self.rng.randint(1, 16)
            first = self.rng.randrange(SIZE // 2, SIZE - words * CONFIG.bus_bytes + 1, CONFIG.bus_bytes)
            found = await self.accelerator.read(first, words * CONFIG.bus_bytes, arid=0)
            assert found.data == self.content[first:][: len(found.data)]
            self.bursts += 1

    async def requests(self, count: int) -> None:
        """Words of the core."""
        for _ in range(count):
            address = self.rng.randrange(SIZE // 4)
            if self.rng.random() < 0.5 or address >= SIZE // 8:
                assert await self.core.read(address) == self.word(address)
            else:
                data, mask = self.rng.getrandbits(32), self.rng.randint(1, 15)
                await self.core.write(address, data, mask)
                self.content[4 * address : 4 * address + 4] = merge(self.word(address), data, mask).to_bytes(
                    4, "little"
                )
            for _ in range(self.rng.choice((0, 0, 3))):
                await RisingEdge(self.dut.clk)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def both_at_once(dut):
    """Each gets its own words, whoever comes first, and neither waits for ever."""
    bench = Bench(dut)
    await start(dut)
    for chance in (0.0, 0.3, 0.8):
        bench.stall(chance)
        streams = [cocotb.start_soon(bench.stream(60)) for _ in range(2)]
        await bench.requests(200)
        for stream in streams:
            await stream
    assert bench.bursts == 360
    assert bench.ram.read(0, SIZE) == bench.content


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def alone(dut):
    """The core without an accelerator that asks, and the other way round."""
    bench = Bench(dut)
    await start(dut)
    await bench.requests(100)
    await bench.stream(40)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """After a reset in any cycle of a request the next one is answered."""
    bench = Bench(dut)
    await start(dut)
    for cycles in range(1, 12):
        for request in (bench.core.read(1), bench.core.write(SIZE // 4 - 1, bench.word(SIZE // 4 - 1))):
            task = cocotb.start_soon(request)
            for _ in range(cycles):
                await RisingEdge(dut.clk)
            task.cancel()
            dut.core__valid.value = 0
            await reset(dut, 2)
            await bench.requests(3)
            await bench.stream(1)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def accelerators_are_forgotten(dut):
    """An accelerator that is reset, in any cycle, gets its own words afterwards; the core notices nothing."""
    bench = Bench(dut)
    await start(dut)
    for number in range(60):
        bench.stall(bench.rng.choice((0.0, 0.5)))
        streams = [cocotb.start_soon(bench.stream(5)) for _ in range(2)]
        requests = cocotb.start_soon(bench.requests(20))
        for _ in range(number):
            await RisingEdge(dut.clk)
        for stream in streams:
            stream.cancel()
        dut.forget.value = 1
        await RisingEdge(dut.clk)
        dut.forget.value = 0
        await bench.stream(2)
        await requests
    assert bench.ram.read(0, SIZE) == bench.content
