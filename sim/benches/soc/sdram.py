"""Program memory in an SDRAM, with a chip that checks what it is told."""

import cocotb
from cocotb.triggers import ClockCycles, Combine, RisingEdge
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiMaster

from hw.config import HardwareConfig
from sim.sdram import Violation
from sim.streams import CLOCK_NS, generator, parameters, reset, start

SIZE = parameters()["words"] * 2
CONFIG = HardwareConfig(**parameters()["hardware"])
BUS = CONFIG.bus_bytes

START_CYCLES = 21_000
"""In these the chip has started."""


class Bench:
    """A master, and what the memory should hold."""

    def __init__(self, dut):
        self.dut, self.rng = dut, generator("requests")
        self.master = AxiMaster(AxiBus.from_prefix(dut, "bus_"), dut.clk, dut.rst, max_burst_len=CONFIG.burst_words)
        for part in (self.master.read_if, self.master.write_if):
            part.log.setLevel("WARNING")
        self.content = {}

    def stall(self, chance: float) -> None:
        """Let the master wait with data and responses in some of the cycles."""
        for channel in (self.master.write_if.w_channel, self.master.write_if.b_channel, self.master.read_if.r_channel):
            channel.set_pause_generator(iter(lambda: self.rng.random() < chance, None))

    async def write(self, first: int, data: bytes) -> None:
        await self.master.write(first, data)
        self.content |= dict(enumerate(data, first))

    async def read(self, first: int, size: int) -> None:
        found = await self.master.read(first, size)
        wanted = [self.content[place] for place in range(first, first + size)]
        assert list(found.data) == wanted

    def check(self) -> None:
        """The chip has seen nothing that it would not forgive."""
        seen = int(self.dut.violations.value)
        assert seen == 0, [kind.name for kind in Violation if seen >> kind & 1]


async def started(dut) -> Bench:
    bench = Bench(dut)
    await start(dut)
    await ClockCycles(dut.clk, START_CYCLES)
    return bench


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def words_come_back(dut):
    """Bytes, words and bursts, in rows and over their ends, with and without waits: as they were written."""
    bench = await started(dut)
    for address in range(0, SIZE, 256):
        await bench.write(address, bench.rng.randbytes(256))
    for chance in (0.0, 0.4):
        bench.stall(chance)
        for _ in range(150):
            size = bench.rng.choice((1, 2, 4, BUS, 64, BUS * CONFIG.burst_words))
            first = bench.rng.randrange(SIZE - size)
            if bench.rng.random() < 0.4:
                await bench.write(first, bench.rng.randbytes(size))
            else:
                await bench.read(first, size)
    bench.check()


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def reads_beside_writes(dut):
    """Bursts out of the upper half while words are written into the lower."""
    bench = await started(dut)
    for address in range(0, SIZE, 256):
        await bench.write(address, bench.rng.randbytes(256))

    async def reads():
        for _ in range(60):
            words = bench.rng.randint(1, CONFIG.burst_words)
            await bench.read(bench.rng.randrange(SIZE // 2, SIZE - words * BUS + 1, BUS), words * BUS)

    async def writes():
        for _ in range(80):
            await bench.write(bench.rng.randrange(0, SIZE // 2 - 4, 4), bench.rng.randbytes(4))

    await Combine(*(cocotb.start_soon(task()) for task in (reads, reads, writes)))
    await bench.read(0, SIZE)
    bench.check()


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def requests_wait_for_the_start(dut):
    """What is asked for right after a reset is not lost; the chip is not told anything before its time."""
    bench = Bench(dut)
    await start(dut)
    await bench.write(64, b"before the start")
    assert get_sim_time("ns") > 20_000 * CLOCK_NS
    await bench.read(64, 16)
    bench.check()


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def streaming(dut):
    """Bursts that follow each other give 1.9 bytes in a cycle: the width of the chip, but for rows and refreshes."""
    bench = await started(dut)
    await bench.write(0, bench.rng.randbytes(SIZE))
    before = get_sim_time("ns")
    await bench.read(0, SIZE)
    cycles = (get_sim_time("ns") - before) / CLOCK_NS
    dut._log.info("%d bytes in %d cycles", SIZE, cycles)
    assert SIZE / cycles > 1.9
    bench.check()


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """After a reset in the middle of bursts the chip starts again, and works."""
    bench = await started(dut)
    await bench.write(0, bench.rng.randbytes(1024))
    task = cocotb.start_soon(bench.master.read(0, 1024))
    await ClockCycles(dut.clk, 60)
    task.cancel()
    await reset(dut)
    await RisingEdge(dut.clk)
    await bench.write(0, b"again" * 100)
    await bench.read(0, 500)
