"""The burst reader against an AXI memory: every word once and in order, bursts by the rules of AXI."""

import random
from dataclasses import dataclass

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiReadBus, AxiResp

from hw.config import HardwareConfig
from hw.memory.reader import PAGE_BYTES
from sim.axi_memory import AxiMemory
from sim.benches.probe import Probe
from sim.streams import StreamSink, generator, monitor, parameters, start

CONFIG = HardwareConfig(**parameters())
WIDTH, BURST = CONFIG.bus_bytes, CONFIG.burst_words
ROOM = BURST * CONFIG.outstanding
SIZE = 4 * PAGE_BYTES
START_CYCLES = 3
"""Cycles from the start to the first request."""


@dataclass(frozen=True)
class Region:
    base: int
    words: int

    def expected(self, contents: bytes) -> list[int]:
        addresses = range(self.base, self.base + self.words * WIDTH, WIDTH)
        return [int.from_bytes(contents[address : address + WIDTH], "little") for address in addresses]


def random_region(rng: random.Random, longest: int) -> Region:
    words = rng.randint(1, longest)
    return Region(WIDTH * rng.randrange(SIZE // WIDTH - words + 1), words)


class Bench:
    """The reader between a memory with pauses and a sink with stalls."""

    def __init__(self, dut, *, latency: int = 3, bandwidth: float = 1.0, pause: float = 0.0):
        self.dut, self.rng = dut, generator("regions")
        self.contents = self.rng.randbytes(SIZE)
        dut.start.value = dut.base.value = dut.words.value = 0
        self.memory = AxiMemory(
            AxiReadBus.from_prefix(dut, "bus_"),
            dut.clk,
            dut.rst,
            contents=self.contents,
            latency=latency,
            bandwidth=bandwidth,
            stall=pause,
            rng=generator("memory"),
        )
        self.sink = StreamSink(dut, "o")
        monitor(dut, ["o"])

    async def begin(self, region: Region) -> None:
        """Start; returns after the cycle of the start."""
        self.dut.base.value, self.dut.words.value, self.dut.start.value = region.base, region.words, 1
        await RisingEdge(self.dut.clk)
        self.dut.start.value = 0
        # They are looked at with the start only.
        self.dut.base.value, self.dut.words.value = self.rng.getrandbits(32), self.rng.getrandbits(32)

    async def check(self, region: Region) -> None:
        await self.begin(region)
        expected = region.expected(self.contents)
        assert await self.sink.get(len(expected)) == expected, region


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def random_regions_and_pauses(dut):
    """Regions of one word and of many, one right after the other; pauses on every channel; a sink that stalls."""
    bench = Bench(dut, pause=0.3)
    await start(dut)
    for stall in (0.0, 0.7):
        bench.sink.stall = stall
        for longest in (1, BURST, 5 * BURST + 3):
            for _ in range(6):
                await bench.check(random_region(bench.rng, longest))
    await ClockCycles(dut.clk, 50)
    assert not bench.sink.items
    assert not dut.error.value


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def bursts_keep_the_rules(dut):
    """Requests hold until they are taken, stay within a page, are not longer than allowed, and ask for each word once;
    never for more than there is room for, even when nobody takes a word."""
    bench = Bench(dut, latency=0, pause=0.5)
    await start(dut)
    page = PAGE_BYTES // WIDTH
    for region in (Region(0, 2 * page), Region(PAGE_BYTES - WIDTH, 3), Region(PAGE_BYTES - 2 * WIDTH, 2 * BURST + 5)):
        bench.sink.stall = 1.0
        probe = Probe(dut, ["bus__araddr", "bus__arlen", "bus__arvalid", "bus__arready", "bus__arsize", "bus__arburst"])
        await bench.begin(region)
        await ClockCycles(dut.clk, 40 + 12 * ROOM)
        asked = sum(c.bus__arlen + 1 for c in probe.cycles if c.bus__arvalid and c.bus__arready)
        assert asked <= ROOM
        bench.sink.stall = 0.0
        assert await bench.sink.get(region.words) == region.expected(bench.contents)
        probe.stop()
        held, address = None, region.base
        for cycle in probe.cycles:
            offer = (cycle.bus__araddr, cycle.bus__arlen) if cycle.bus__arvalid else None
            assert held is None or offer == held
            held = offer if offer and not cycle.bus__arready else None
            if offer and cycle.bus__arready:
                words = cycle.bus__arlen + 1
                assert cycle.bus__araddr == address
                assert (1 << cycle.bus__arsize, cycle.bus__arburst) == (WIDTH, 1)
                assert words <= BURST
                assert address // PAGE_BYTES == (address + words * WIDTH - 1) // PAGE_BYTES
                address += words * WIDTH
        assert address == region.base + region.words * WIDTH


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def throughput_and_latency(dut):
    """The first request after the start; then a word a cycle, as long as the bursts on their way cover the latency."""
    latency = 1
    bench = Bench(dut, latency=latency)
    await start(dut)
    probe = Probe(dut, ["start", "bus__arvalid", "o__valid", "arrived"])
    region = Region(0, PAGE_BYTES // WIDTH)
    await bench.check(region)
    probe.stop()
    (begun,) = probe.when("start")
    assert probe.when("bus__arvalid")[0] == begun + START_CYCLES
    arrived, left = probe.when("arrived"), probe.when("o__valid")
    assert len(arrived) == len(left) == region.words
    assert left[0] == arrived[0] + 3
    if latency + 8 < ROOM - BURST:
        assert arrived[-1] - arrived[0] == region.words - 1


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def refusals_are_reported(dut):
    """A word that the memory refuses is an error, until the next start."""
    bench = Bench(dut)
    await start(dut)
    send = bench.memory.r_channel.send

    async def refuse(word) -> None:
        word.rresp = AxiResp.SLVERR
        await send(word)

    await bench.check(Region(0, BURST))
    assert not dut.error.value
    bench.memory.r_channel.send = refuse
    await bench.check(Region(0, BURST))
    assert dut.error.value
    bench.memory.r_channel.send = send
    await bench.check(Region(WIDTH, 2))
    assert not dut.error.value


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_a_burst(dut):
    """A reset of reader and memory anywhere in a region leaves nothing behind."""
    bench = Bench(dut, pause=0.2)
    await start(dut)
    for age in range(1, 40, 3):
        await bench.begin(random_region(bench.rng, 3 * BURST))
        await ClockCycles(dut.clk, age)
        dut.rst.value = 1
        await ClockCycles(dut.clk, 4)
        dut.rst.value = 0
        bench.sink.items.clear()
        await ClockCycles(dut.clk, 30)
        assert not bench.sink.items
        await bench.check(random_region(bench.rng, 2 * BURST))
