"""The shared program store: the accelerator reads in every cycle that it likes, and the core waits."""

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from hw.serial.config import SerialConfig
from sim.streams import generator, parameters, reset, start

CONFIG = SerialConfig(**parameters())
DEPTH = CONFIG.store_depth


async def access(dut, address: int, *, data: int | None = None) -> int:
    """A request of the core: write a word, or read one."""
    dut.bus__valid.value, dut.bus__address.value = 1, address
    dut.bus__mask.value, dut.bus__data.value = (0, 0) if data is None else (15, data)
    while True:
        await ReadOnly()
        ready, answer = int(dut.bus__ready.value), int(dut.bus__answer.value)
        await RisingEdge(dut.clk)
        if ready:
            dut.bus__valid.value = 0
            return answer


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
    """The core writes every word, then both read; then the core writes where the accelerator does not read."""
    await start(dut)
    rng = generator("core")
    dut.enable.value = 0
    words = [rng.getrandbits(32) for _ in range(DEPTH)]
    for address in rng.sample(range(DEPTH), DEPTH):
        await access(dut, address, data=words[address])
    for share in (0.0, 0.3, 0.9):
        reader = cocotb.start_soon(read_along(dut, words, share))
        for _ in range(200):
            address = rng.randrange(DEPTH)
            assert await access(dut, address) == words[address]
        reader.cancel()


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def a_reset_leaves_the_words(dut):
    """What was written is there after a reset in the middle of a request."""
    await start(dut)
    dut.enable.value = 0
    await access(dut, 3, data=0x12345678)
    dut.bus__valid.value, dut.bus__address.value, dut.bus__mask.value = 1, 3, 0
    await reset(dut, 1)
    dut.bus__valid.value = 0
    await RisingEdge(dut.clk)
    assert await access(dut, 3) == 0x12345678
