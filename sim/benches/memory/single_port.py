"""A single-port memory against a list."""

import cocotb

from sim.benches.clocked import Clocked
from sim.streams import generator, parameters, reset, start, unpack

WIDTH, DEPTH = parameters()["width"], parameters()["depth"]
PART = parameters().get("granularity", WIDTH)
PARTS = WIDTH // PART
ALL = 2**PARTS - 1


class Model:
    """The contents, part by part, and what is known of the entry that was read in the cycle before."""

    def __init__(self, dut):
        self.design = Clocked(dut, ["data"])
        self.rng = generator("accesses")
        self.parts: dict[tuple[int, int], int] = {}
        self.read: dict[int, int] = {}

    async def cycle(self, *, enable: int, write: int, address: int | None = None) -> None:
        """One cycle: check what is shown, and do what is asked for, with noise where nobody looks."""
        address = self.rng.randrange(DEPTH) if address is None else address
        entry = self.rng.choice((0, 2**WIDTH - 1, self.rng.getrandbits(WIDTH)))
        seen = unpack(
            (await self.design.cycle(enable=enable, write=write, address=address, entry=entry)).data, PART, PARTS
        )
        assert {part: seen[part] for part in self.read} == self.read
        self.read = {}
        for part, value in enumerate(unpack(entry, PART, PARTS)):
            if enable and write >> part & 1:
                self.parts[address, part] = value
            elif enable and not write and (address, part) in self.parts:
                self.read[part] = self.parts[address, part]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_accesses(dut):
    """Reads, writes and pauses in any order."""
    await start(dut)
    model = Model(dut)
    for _ in range(3000):
        await model.cycle(enable=model.rng.random() < 0.8, write=model.rng.choice((0, model.rng.getrandbits(PARTS))))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def contents_survive_a_reset(dut):
    """All entries, before and after."""
    await start(dut)
    model = Model(dut)
    for address in range(DEPTH):
        await model.cycle(enable=1, write=ALL, address=address)
    await reset(dut)
    model.read = {}
    for address in range(DEPTH):
        await model.cycle(enable=1, write=0, address=address)
    await model.cycle(enable=0, write=0)
