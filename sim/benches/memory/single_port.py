"""A single-port memory against a list."""

import cocotb

from sim.benches.clocked import Clocked
from sim.streams import generator, parameters, reset, start

WIDTH, DEPTH = parameters()["width"], parameters()["depth"]


class Model:
    """The contents, and the entry that was read in the cycle before."""

    def __init__(self, dut):
        self.design = Clocked(dut, ["data"])
        self.rng = generator("accesses")
        self.entries: dict[int, int] = {}
        self.read: int | None = None

    async def cycle(self, *, enable: int, write: int, address: int | None = None) -> None:
        """One cycle: check what is shown, and do what is asked for, with noise where nobody looks."""
        address = self.rng.randrange(DEPTH) if address is None else address
        entry = self.rng.choice((0, 2**WIDTH - 1, self.rng.getrandbits(WIDTH)))
        seen = await self.design.cycle(enable=enable, write=write, address=address, entry=entry)
        if self.read is not None:
            assert seen.data == self.read
        self.read = self.entries.get(address) if enable and not write else None
        if enable and write:
            self.entries[address] = entry


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_accesses(dut):
    """Reads, writes and pauses in any order."""
    await start(dut)
    model = Model(dut)
    for _ in range(3000):
        await model.cycle(enable=model.rng.random() < 0.8, write=model.rng.getrandbits(1))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def contents_survive_a_reset(dut):
    """All entries, before and after."""
    await start(dut)
    model = Model(dut)
    for address in range(DEPTH):
        await model.cycle(enable=1, write=1, address=address)
    await reset(dut)
    model.read = None
    for address in range(DEPTH):
        await model.cycle(enable=1, write=0, address=address)
    await model.cycle(enable=0, write=0)
