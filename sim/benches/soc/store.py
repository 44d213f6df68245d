"""The shared program store: the accelerator reads in every cycle that it likes, and the core waits."""

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from hw.serial.config import SerialConfig
from sim.benches.soc.master import BusMaster, merge
from sim.streams import generator, parameters, reset, start

CONFIG = SerialConfig(**parameters())
DEPTH = CONFIG.store_depth


async def read_along(dut, words: list[int], share: float) -> None:
    """Be the accelerator: read at random, and compare what comes in the next cycle."""
    rng, expected = generator("accelerator"), None
    while True:
        enable, address = rng.random() < share, rng.randrange(DEPTH)
        dut.enable.value, dut.address.value = enable, address
        await ReadOnly()
        assert expected is None or dut.data.value == expected
        expected = words[address] if enable else None
        await RisingEdge(dut.clk)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def both_get_their_words(dut):
    """The core writes every word and some of their bytes; both read."""
    core, rng = BusMaster(dut, generator("core")), generator("words")
    await start(dut)
    dut.enable.value = 0
    words = [rng.getrandbits(32) for _ in range(DEPTH)]
    for address in rng.sample(range(DEPTH), DEPTH):
        await core.write(address, words[address])
    for share in (0.0, 0.3, 0.9):
        reader = cocotb.start_soon(read_along(dut, words, share))
        for _ in range(200):
            address = rng.randrange(DEPTH)
            if rng.random() < 0.7:
                assert await core.read(address) == words[address]
            else:
                data, mask = rng.getrandbits(32), rng.randint(1, 15)
                # The accelerator does not read what is being written: it may see the old bytes or the new ones.
                reader.cancel()
                dut.enable.value = 0
                await core.write(address, data, mask)
                words[address] = merge(words[address], data, mask)
                reader = cocotb.start_soon(read_along(dut, words, share))
        reader.cancel()


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def a_reset_leaves_the_words(dut):
    """What was written is there after a reset in the middle of a request."""
    core = BusMaster(dut, generator("core"))
    await start(dut)
    dut.enable.value = 0
    await core.write(3, 0x12345678)
    dut.bus__valid.value, dut.bus__address.value, dut.bus__mask.value = 1, 3, 0
    await reset(dut, 1)
    dut.bus__valid.value = 0
    await RisingEdge(dut.clk)
    assert await core.read(3) == 0x12345678
