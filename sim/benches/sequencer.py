"""The sequencer on random programs: which layer runs when, and every cycle between."""

import random

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from hw.config import HardwareConfig
from hw.program import DESCRIPTOR, Layer, descriptor_words
from hw.sequencer import SETTLE
from sim.benches.clocked import Clocked
from sim.streams import generator, pack, parameters, reset, start, unpack

CONFIG = HardwareConfig(**parameters())
OUTPUTS = ["layer", "number", "begin", "running", "report", "busy", "done"]
BUS = 8 * CONFIG.bus_bytes
WORDS = descriptor_words(CONFIG)
FETCH = WORDS + 2


def random_program(rng: random.Random, count: int) -> list[list[int]]:
    """Descriptors, in words, of random non-negative fields."""
    layers = []
    for number in range(count):
        fields = {name: rng.getrandbits(shape.width - shape.signed) for name, shape in DESCRIPTOR.items()}
        layers.append(unpack(Layer(name=str(number), fields=fields).packed(final=number == count - 1), BUS, WORDS))
    return layers


async def serve(dut, words: list[int]):
    """Be the descriptor memory: the word of this cycle's address is there in the next one."""
    while True:
        await ReadOnly()
        address = int(dut.address.value)
        await RisingEdge(dut.clk)
        dut.data.value = words[address] if address < len(words) else 2**BUS - 1


async def prepare(dut) -> Clocked:
    sequencer = Clocked(dut, OUTPUTS)
    sequencer.set(start=0, described=0, data=0, finished=0, settled=0, reported=0)
    await start(dut)
    return sequencer


async def cycles(sequencer: Clocked, count: int, **inputs: int):
    """Play cycles in which a program is on and nothing begins or ends; inputs that do not matter change nothing."""
    for _ in range(count):
        seen = await sequencer.cycle(**inputs)
        assert (seen.begin, seen.report, seen.done, seen.busy) == (0, 0, 0, 1)
        yield seen


async def run_layer(sequencer: Clocked, rng: random.Random, number: int, words: list[int], lead: int):
    """Follow a layer, whose fetch takes ``lead`` more cycles, to the cycle of ``reported``."""
    # What the units say while no layer runs, and a start while busy, must change nothing.
    noise = {"start": 1, "finished": 1, "settled": 1, "reported": 1}
    async for seen in cycles(sequencer, lead, **noise):
        assert seen.running == 0
    seen = await sequencer.cycle(**noise)
    assert (seen.begin, seen.running, seen.number, seen.layer) == (1, 0, number, pack(words, BUS))

    waits = [rng.choice((0, 1, rng.randrange(20))) for _ in range(3)]
    phases = [(waits[0], {**noise, "finished": 0}), (1, noise), (SETTLE - 1, {**noise, "finished": 0})]
    phases += [(waits[1], {**noise, "settled": 0}), (1, noise)]
    for count, inputs in phases:
        async for seen in cycles(sequencer, count, **inputs):
            assert (seen.running, seen.number, seen.layer) == (1, number, pack(words, BUS))
    seen = await sequencer.cycle(**noise)
    assert (seen.report, seen.running, seen.number) == (1, 0, number)
    async for seen in cycles(sequencer, waits[2], **{**noise, "reported": 0}):
        assert (seen.running, seen.number) == (0, number)
    async for seen in cycles(sequencer, 1, **{**noise, "start": 0}):
        assert (seen.running, seen.number) == (0, number)


async def run(sequencer: Clocked, rng: random.Random, program: list[list[int]]):
    """Start a program and follow it; ends before the cycle of ``done``."""
    seen = await sequencer.cycle(start=1, described=1, finished=0, settled=0, reported=0)
    assert seen.busy == 0
    await follow(sequencer, rng, program)


async def follow(sequencer: Clocked, rng: random.Random, program: list[list[int]]):
    """Let the descriptors come some time after the start, and follow the program."""
    async for seen in cycles(sequencer, rng.choice((0, 1, 30)), start=0, described=0):
        assert seen.running == 0
    async for _ in cycles(sequencer, 1, described=1):
        pass
    for number, words in enumerate(program):
        await run_layer(sequencer, rng, number, words, FETCH - 1)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def random_programs(dut):
    """Programs of one and more layers; the next start is in the cycle of ``done``, or later."""
    rng = generator("programs")
    sequencer = await prepare(dut)
    for count in (1, 2, 1, 7, *(rng.randint(1, 5) for _ in range(8))):
        program = random_program(rng, count)
        memory = cocotb.start_soon(serve(dut, [word for words in program for word in words]))
        # Both runs are from the same memory: the second begins at once, with its first descriptor.
        await run(sequencer, rng, program)
        first = await sequencer.cycle(start=1, finished=0, settled=0, reported=0)
        assert (first.busy, first.done) == (0, 1)
        await follow(sequencer, rng, program)
        ended = await sequencer.cycle(start=0)
        assert (ended.busy, ended.done) == (0, 1)
        for _ in range(rng.randrange(4)):
            idle = await sequencer.cycle()
            assert (idle.busy, idle.done, idle.begin, idle.report) == (0, 0, 0, 0)
        memory.cancel()


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def reset_in_flight(dut):
    """A reset in any state ends the program; the next start begins with its first layer."""
    rng = generator("reset")
    sequencer = await prepare(dut)
    program = random_program(rng, 2)
    memory = cocotb.start_soon(serve(dut, [word for words in program for word in words]))
    for age in range(1, 3 * FETCH):
        await sequencer.cycle(start=1, described=1, finished=1, settled=1, reported=1)
        for _ in range(age):
            await sequencer.cycle(start=0)
        await reset(dut, 1)
        seen = await sequencer.cycle()
        assert (seen.busy, seen.running, seen.begin, seen.report, seen.done) == (0, 0, 0, 0, 0)
    await run(sequencer, rng, program)
    assert (await sequencer.cycle(start=0)).done == 1
    memory.cancel()
