"""Words of the accelerator's bus on a narrower memory."""

import cocotb
from cocotb.triggers import ClockCycles, Combine
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiMaster, AxiRam

from sim.axi_memory import stall_channels
from sim.streams import CLOCK_NS, generator, parameters, reset, start

SIZE = 4096
BUS, BURST, NARROW = (parameters()[name] for name in ("bus_bytes", "burst_words", "bytes"))


class Bench:
    """A master with wide words, and a narrow memory."""

    def __init__(self, dut):
        self.rng = generator("requests")
        self.ram = AxiRam(AxiBus.from_prefix(dut, "narrow_"), dut.clk, dut.rst, size=SIZE)
        self.master = AxiMaster(AxiBus.from_prefix(dut, "wide_"), dut.clk, dut.rst, max_burst_len=BURST)
        for part in (self.ram.read_if, self.ram.write_if, self.master.read_if, self.master.write_if):
            part.log.setLevel("WARNING")
        self.content = bytearray(self.rng.randbytes(SIZE))
        self.ram.write(0, bytes(self.content))

    async def reads(self, count: int) -> None:
        """Bytes, words and bursts out of the upper half."""
        for _ in range(count):
            size = self.rng.choice((1, BUS, BUS * BURST, self.rng.randint(1, BUS * BURST)))
            first = self.rng.randrange(SIZE // 2, SIZE - size + 1)
            found = await self.master.read(first, size)
            assert found.data == self.content[first : first + size]

    async def writes(self, count: int) -> None:
        """Bytes, words and bursts into the lower half."""
        for _ in range(count):
            data = self.rng.randbytes(self.rng.choice((1, 4, BUS, self.rng.randint(1, 3 * BUS))))
            first = self.rng.randrange(SIZE // 2 - len(data))
            await self.master.write(first, data)
            self.content[first : first + len(data)] = data


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def words_pass(dut):
    """In both directions at once, from memories that wait in none, some and most of the cycles."""
    bench = Bench(dut)
    await start(dut)
    for chance in (0.0, 0.4, 0.8):
        stall_channels(bench.ram, chance, bench.rng)
        bench.master.read_if.r_channel.set_pause_generator(iter(lambda c=chance: bench.rng.random() < c, None))
        tasks = (bench.reads(40), bench.reads(40), bench.writes(80))
        await Combine(*(cocotb.start_soon(task) for task in tasks))
    assert bench.ram.read(0, SIZE) == bench.content


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def every_transfer_is_used(dut):
    """A burst takes as many cycles as it has transfers, and those until its first word."""
    bench = Bench(dut)
    await start(dut)
    cycles = []
    for words in (1, BURST):
        before = get_sim_time("ns")
        await bench.master.read(0, words * BUS)
        cycles.append((get_sim_time("ns") - before) / CLOCK_NS)
    assert cycles[1] - cycles[0] == (BURST - 1) * BUS // NARROW


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """Nothing of a burst that a reset has ended is left."""
    bench = Bench(dut)
    await start(dut)
    for cycles in range(8, 40, 5):
        tasks = [cocotb.start_soon(bench.reads(9)), cocotb.start_soon(bench.writes(9))]
        await ClockCycles(dut.clk, cycles)
        for task in tasks:
            task.cancel()
        await reset(dut)
        await bench.reads(5)
