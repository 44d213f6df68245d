"""The model of an SDRAM chip: what it forgives, and that it complains about everything else."""

import cocotb
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge

from sim.sdram import NOT_DRIVEN, PRECHARGE_ALL, Violation
from sim.streams import parameters, start

POWER_UP = parameters()["hertz"] // 10_000 + 5
MODE = 2 << 4
LINES = {"activate": 0b011, "read": 0b101, "write": 0b100, "precharge": 0b010, "refresh": 0b001, "mode": 0b000}
"""RAS, CAS and WE at the pins, which are asserted at 0."""


class Chip:
    """Its pins."""

    def __init__(self, dut):
        self.dut = dut

    async def say(self, name: str, *, address: int = 0, bank: int = 0, data: int | None = None, mask: int = 0) -> None:
        """A command, for a cycle."""
        dut, lines = self.dut, LINES[name]
        dut.cs_n.value, dut.address.value, dut.bank.value = 0, address, bank
        dut.ras_n.value, dut.cas_n.value, dut.we_n.value = lines >> 2, lines >> 1 & 1, lines & 1
        dut.driven.value, dut.write.value, dut.dqm.value = data is not None, data or 0, mask
        await RisingEdge(dut.clk)
        dut.cs_n.value, dut.driven.value = 1, 0

    async def wait(self, cycles: int = 8) -> None:
        await ClockCycles(self.dut.clk, cycles)

    async def power_up(self, mode: int = MODE) -> None:
        """Everything that a chip wants before it is used."""
        for name, value in {"cke": 1, "cs_n": 1, "driven": 0}.items():
            getattr(self.dut, name).value = value
        await start(self.dut)
        await self.wait(POWER_UP)
        for name, address in (("precharge", 1 << PRECHARGE_ALL), ("refresh", 0), ("refresh", 0), ("mode", mode)):
            await self.say(name, address=address)
            await self.wait()

    async def seen(self) -> list[Violation]:
        await self.wait(2)
        return [kind for kind in Violation if int(self.dut.violations.value) >> kind & 1]


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def words_come_after_the_latency(dut):
    """With both latencies, masked bytes stay, and the lines say nothing else."""
    for latency in (2, 3):
        chip = Chip(dut)
        await chip.power_up(latency << 4)
        await chip.say("activate", address=1, bank=2)
        await chip.wait()
        await chip.say("write", address=3, bank=2, data=0x1234)
        await chip.say("write", address=3, bank=2, data=0xABCD, mask=0b10)
        await chip.wait()
        await chip.say("read", address=3, bank=2)
        found = []
        for _ in range(4):
            await ReadOnly()
            found.append(int(dut.read.value))
            await RisingEdge(dut.clk)
        wanted = [NOT_DRIVEN] * 4
        wanted[latency - 2] = 0x12CD
        assert found == wanted
        assert await chip.seen() == []


ROW, WRITE = ("activate", 8), ("write", {"data": 1})

MISTAKES = (
    ("a second refresh at once", ("refresh", "refresh"), Violation.EARLY),
    ("a row that is open is opened", (*ROW, *ROW), Violation.OPEN),
    ("a refresh while a row is open", (*ROW, "refresh"), Violation.OPEN),
    ("a word of a closed row", ("read",), Violation.CLOSED),
    ("a word at once", ("activate", "read"), Violation.ACTIVATE),
    ("the next row at once", (*ROW, "precharge", *ROW), Violation.PRECHARGE),
    ("a short row", ("activate", 2, "precharge"), Violation.ROW),
    ("a row closed behind a written word", (*ROW, WRITE, "precharge"), Violation.WRITE),
    (
        "the next row behind one that closes itself",
        (*ROW, ("write", {"data": 1, "address": 1 << PRECHARGE_ALL}), *ROW),
        Violation.PRECHARGE,
    ),
    ("no refresh", (int(parameters()["hertz"] * 72e-6),), Violation.REFRESH),
    ("a mode that is not known", (("mode", {"address": 0x21}), 8, *ROW, "read"), Violation.MODE),
    ("a word written while one is read", (*ROW, "read", WRITE), Violation.CONTENTION),
)
"""What is done, step by step, and what the chip should say: a command, one with what it carries, or cycles to wait."""


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def complaints(dut):
    """Each mistake is seen as what it is."""
    for mistake, steps, kind in MISTAKES:
        chip = Chip(dut)
        await chip.power_up()
        assert await chip.seen() == [], mistake
        for step in steps:
            if isinstance(step, int):
                await chip.wait(step)
            elif isinstance(step, str):
                await chip.say(step)
            else:
                await chip.say(step[0], **step[1])
        assert await chip.seen() == [kind], mistake


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def before_it_is_ready(dut):
    """A command before the chip has had its time."""
    chip = Chip(dut)
    dut.cke.value, dut.cs_n.value = 1, 1
    await start(dut)
    await chip.say("precharge", address=1 << PRECHARGE_ALL)
    assert await chip.seen() == [Violation.EARLY]
