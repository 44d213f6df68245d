"""A queue in block RAM against a list."""

from collections import deque

import cocotb

from sim.benches.clocked import Clocked
from sim.streams import generator, parameters, reset, start

WIDTH, DEPTH = parameters()["width"], parameters()["depth"]


class Model:
    """What is in the queue, and whether an entry may come: one for each cycle with room, a cycle later."""

    def __init__(self, dut):
        self.design = Clocked(dut, ["room", "o__valid", "o__payload", "busy"])
        self.rng = generator("queue")
        self.begin()

    def begin(self) -> None:
        """Empty, as after a reset."""
        self.entries: deque[int] = deque()
        self.allowed = False

    async def cycle(self, *, put: float, take: float) -> None:
        """One cycle, with the probabilities that an entry comes and that one is taken."""
        comes, entry = self.allowed and self.rng.random() < put, self.rng.getrandbits(WIDTH)
        ready = self.rng.random() < take
        seen = await self.design.cycle(i__valid=comes, i__payload=entry, o__ready=ready)
        assert seen.busy == bool(self.entries)
        if seen.o__valid:
            assert seen.o__payload == self.entries[0]
            if ready:
                self.entries.popleft()
        if comes:
            self.entries.append(entry)
        assert len(self.entries) < DEPTH
        self.allowed = bool(seen.room)
        self.shown = bool(seen.o__valid)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def random_traffic(dut):
    """More comes than is taken, and the other way round."""
    await start(dut)
    model = Model(dut)
    for put, take in ((0.5, 0.5), (1, 0.2), (0.2, 1), (1, 1), (1, 0), (0, 1)):
        for _ in range(600):
            await model.cycle(put=put, take=take)
    assert not model.entries


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def one_entry_a_cycle(dut):
    """When both sides keep up, one entry leaves in every cycle."""
    await start(dut)
    model = Model(dut)
    for _ in range(4):
        await model.cycle(put=1, take=1)
    for _ in range(3 * DEPTH):
        await model.cycle(put=1, take=1)
        assert model.shown


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_flight(dut):
    """A reset empties it."""
    await start(dut)
    model = Model(dut)
    for length in range(1, DEPTH + 3):
        for _ in range(length):
            await model.cycle(put=1, take=0.1)
        dut.i__valid.value = 0
        await reset(dut, 1)
        model.begin()
        for _ in range(10):
            await model.cycle(put=0.7, take=0.7)
