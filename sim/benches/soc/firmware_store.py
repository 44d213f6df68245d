"""The end of a store as memory of the core, filled from a flash chip."""

import cocotb
from cocotb.triggers import RisingEdge

from sim.benches.soc.master import BusMaster, merge
from sim.streams import generator, parameters, reset, start

WORDS, DEPTH = parameters()["words"], parameters()["depth"]
FIRST = DEPTH - len(WORDS)


async def filled(dut) -> None:
    """Wait until the firmware is there."""
    await RisingEdge(dut.done)
    await RisingEdge(dut.clk)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def firmware_and_program_have_their_own_words(dut):
    """What the chip has is there; then words and bytes at random on both sides, none of which changes the other's."""
    core, program = (BusMaster(dut, generator(name), f"{name}__") for name in ("firmware", "program"))
    rng = generator("words")
    await start(dut)
    await filled(dut)
    own, other = list(WORDS), {}
    for _ in range(3000):
        if rng.random() < 0.5:
            address = rng.randrange(len(own))
            if rng.random() < 0.5:
                assert await core.read(address) == own[address]
            else:
                data, mask = rng.getrandbits(32), rng.randint(1, 15)
                await core.write(address, data, mask)
                own[address] = merge(own[address], data, mask)
        else:
            address = rng.randrange(FIRST)
            if rng.random() < 0.5 and address in other:
                assert await program.read(address) == other[address]
            else:
                other[address] = rng.getrandbits(32)
                await program.write(address, other[address])
    for address, word in enumerate(own):
        assert await core.read(address) == word


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def a_reset_brings_the_firmware_back(dut):
    """In the middle of loading, and after words have been overwritten; the program stays."""
    core, program = (BusMaster(dut, generator(name), f"{name}__") for name in ("firmware", "program"))
    await start(dut)
    for _ in range(len(WORDS) * 33):
        await RisingEdge(dut.clk)
    await reset(dut)
    await filled(dut)
    await program.write(FIRST - 1, 0x12345678)
    await core.write(0, ~WORDS[0] & 0xFFFFFFFF)
    await reset(dut)
    await filled(dut)
    assert [await core.read(address) for address in (0, len(WORDS) - 1)] == [WORDS[0], WORDS[-1]]
    assert await program.read(FIRST - 1) == 0x12345678
