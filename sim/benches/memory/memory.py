"""The memory against a list."""

import cocotb

from sim.benches.clocked import Clocked
from sim.streams import generator, pack, parameters, reset, start

WIDTH, DEPTH = (parameters()[name] for name in ("width", "depth"))
ADDRESS_BITS = (DEPTH - 1).bit_length()


def entry(address: int, value: int) -> int:
    """Payload of a write."""
    return pack([address], ADDRESS_BITS) | value << ADDRESS_BITS


async def fill(memory: Clocked, values: list[int]):
    """Write all entries, one a cycle."""
    for address, value in enumerate(values):
        await memory.cycle(write__valid=1, write__payload=entry(address, value), enable=0)
    memory.set(write__valid=0)


async def prepare(dut, rng) -> tuple[Clocked, list[int]]:
    """Reset the memory and fill it with random values."""
    memory = Clocked(dut, ["data"])
    memory.set(write__valid=0, enable=0)
    await start(dut)
    values = [rng.getrandbits(WIDTH) for _ in range(DEPTH)]
    await fill(memory, values)
    return memory, values


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_reads_and_writes(dut):
    """One write and one read a cycle, of different entries; an entry is read in the cycle after it is written, too."""
    rng = generator("accesses")
    memory, values = await prepare(dut, rng)
    held = (await memory.cycle(enable=1, address=0)) and values[0]
    target = 0
    for _ in range(2000):
        reads, writes = rng.random() < 0.7, rng.random() < 0.7
        address = target if rng.random() < 0.5 else rng.randrange(DEPTH)
        target = (address + rng.randrange(1, DEPTH)) % DEPTH
        value = rng.choice((0, 2**WIDTH - 1, rng.getrandbits(WIDTH)))
        seen = await memory.cycle(
            enable=reads, address=address, write__valid=writes, write__payload=entry(target, value)
        )
        assert seen.data == held
        held = values[address] if reads else held
        if writes:
            values[target] = value


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def entries_survive_a_reset(dut):
    """A reset changes no entry, and writes go on right after it."""
    rng = generator("reset")
    memory, values = await prepare(dut, rng)
    await reset(dut)
    values[DEPTH - 1] ^= 1
    await memory.cycle(write__valid=1, write__payload=entry(DEPTH - 1, values[-1]))
    memory.set(write__valid=0)
    for address, value in enumerate(values):
        await memory.cycle(enable=1, address=address)
        assert (await memory.cycle(enable=0, address=0)).data == value
