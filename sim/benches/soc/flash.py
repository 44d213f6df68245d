"""Words out of a flash chip: all of them arrive, whatever the memory does and whenever a reset comes."""

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from hw.soc.flash import REST_CYCLES
from sim.streams import generator, parameters, start

WORDS = parameters()["words"]


class Memory:
    """Takes words at random moments."""

    def __init__(self, dut, patience: float = 0.0):
        self.dut, self.patience, self.rng = dut, patience, generator("memory")
        self.words: dict[int, int] = {}
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        while True:
            ready = self.rng.random() >= self.patience
            self.dut.bus__ready.value = ready
            await ReadOnly()
            if self.dut.bus__valid.value and ready:
                assert self.dut.bus__mask.value == 15
                self.words[int(self.dut.bus__address.value)] = int(self.dut.bus__data.value)
            await RisingEdge(self.dut.clk)


async def loaded(dut) -> int:
    """Wait until everything is copied; return the cycles."""
    cycles = 0
    while True:
        await ReadOnly()
        done = dut.done.value
        await RisingEdge(dut.clk)
        if done:
            return cycles
        cycles += 1


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def every_word_arrives(dut):
    """Into a memory that takes them at once, in the cycles that the docstring promises."""
    await start(dut)
    memory = Memory(dut)
    cycles = await loaded(dut)
    assert memory.words == dict(enumerate(WORDS))
    assert cycles <= 2 * REST_CYCLES + 66 * len(WORDS) + 80


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def a_slow_memory_gets_them_too(dut):
    """The clock of the chip waits."""
    await start(dut)
    memory = Memory(dut, patience=0.98)
    await loaded(dut)
    assert memory.words == dict(enumerate(WORDS))


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def after_a_reset_everything_is_copied_again(dut):
    """Wherever it comes: between the commands, within one, within a word. The chip goes on, as on a board."""
    await start(dut)
    memory, rng = Memory(dut), generator("resets")
    for cycles in (REST_CYCLES + 5, *(rng.randrange(4 * REST_CYCLES) for _ in range(5))):
        for _ in range(cycles):
            await RisingEdge(dut.clk)
        dut.restart.value = 1
        await RisingEdge(dut.clk)
        dut.restart.value = 0
        memory.words.clear()
        await loaded(dut)
        assert memory.words == dict(enumerate(WORDS))
