"""What cocotb benches share: clock and reset, stream sources and sinks with random stalls, a protocol monitor."""

import json
import os
import random
from collections import deque
from collections.abc import Iterable, Sequence

import cocotb
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject
from cocotb.triggers import ReadOnly, RisingEdge

from sim.runner import PARAMETERS

CLOCK_NS = 10
"""Period of the benches' clock, in nanoseconds."""


def parameters() -> dict:
    """Return the parameters that `run_bench` was given."""
    return json.loads(os.environ[PARAMETERS])


def generator(name: str) -> random.Random:
    """Return a random generator for one purpose of one test, derived from the bench's seed."""
    return random.Random(f"{cocotb.RANDOM_SEED}/{name}")


def pack(values: Iterable[int], width: int) -> int:
    """Return integers, signed or not, side by side in fields of ``width`` bits, the first one lowest."""
    mask = (1 << width) - 1
    return sum((int(value) & mask) << (index * width) for index, value in enumerate(values))


def unpack(word: int, width: int, count: int, *, signed: bool = False) -> list[int]:
    """Return ``count`` fields of ``width`` bits, the lowest one first: the inverse of `pack`."""
    fields = [(word >> (index * width)) & ((1 << width) - 1) for index in range(count)]
    return [field - (field >> (width - 1) << width) for field in fields] if signed else fields


async def start(dut: HierarchyObject) -> None:
    """Start the clock of a design with a clock, and reset it."""
    Clock(dut.clk, CLOCK_NS, unit="ns").start(start_high=False)
    await reset(dut)


async def reset(dut: HierarchyObject, cycles: int = 2) -> None:
    """Hold the reset for some cycles."""
    dut.rst.value = 1
    for _ in range(cycles):
        await RisingEdge(dut.clk)
    dut.rst.value = 0


async def settled(dut: HierarchyObject) -> int:
    """Wait for the first cycle without ``busy``; return how many went by, and be at the beginning of the next one."""
    cycles = 0
    while True:
        await ReadOnly()
        if not dut.busy.value:
            break
        cycles += 1
        await RisingEdge(dut.clk)
    await RisingEdge(dut.clk)
    return cycles


class _Stream:
    """The signals of one stream of a design, ``NAME__payload`` and so on; ``ready`` is None without back-pressure."""

    def __init__(self, dut: HierarchyObject, name: str):
        self.dut = dut
        self.name = name
        self.payload = getattr(dut, f"{name}__payload")
        self.valid = getattr(dut, f"{name}__valid")
        self.ready = getattr(dut, f"{name}__ready", None)

    def transfers(self) -> bool:
        """Return whether an item is transferred at the next edge; only meaningful once the signals are settled."""
        return bool(self.valid.value) and (self.ready is None or bool(self.ready.value))


class StreamSource(_Stream):
    """Puts items into an input stream, in order, and holds each until it is taken.

    Parameters
    ----------
    stall : probability of an idle cycle before an item
    rng : source of the stalls; one derived from the bench's seed if not given
    """

    def __init__(self, dut: HierarchyObject, name: str, *, stall: float = 0.0, rng: random.Random | None = None):
        super().__init__(dut, name)
        self.stall = stall
        self.rng = rng or generator(f"source {name}")
        self.queue: deque[int] = deque()
        self.valid.value = 0
        self._task = cocotb.start_soon(self._run())

    def put(self, items: Iterable[int]) -> None:
        """Append items (payloads as unsigned integers) to what will be sent."""
        self.queue.extend(items)

    async def drained(self) -> None:
        """Wait until every item has been taken."""
        while self.queue:
            await RisingEdge(self.dut.clk)

    def stop(self) -> None:
        """Stop sending, in the middle of an item if need be, and drop the rest."""
        self._task.cancel()
        self.queue.clear()
        self.valid.value = 0

    async def _run(self) -> None:
        while True:
            if not self.queue or self.rng.random() < self.stall:
                self.valid.value = 0
                await RisingEdge(self.dut.clk)
                continue
            self.payload.value = self.queue[0]
            self.valid.value = 1
            taken = False
            while not taken:
                await ReadOnly()
                taken = self.transfers()
                await RisingEdge(self.dut.clk)
            self.queue.popleft()


class StreamSink(_Stream):
    """Takes items from an output stream into ``items``, as unsigned integers.

    Parameters
    ----------
    stall : probability of a cycle without ready (not for streams without back-pressure)
    rng : source of the stalls; one derived from the bench's seed if not given
    """

    def __init__(self, dut: HierarchyObject, name: str, *, stall: float = 0.0, rng: random.Random | None = None):
        super().__init__(dut, name)
        self.stall = stall
        self.rng = rng or generator(f"sink {name}")
        self.items: list[int] = []
        self._task = cocotb.start_soon(self._run())

    async def get(self, count: int) -> list[int]:
        """Wait until there are ``count`` items, and take them out of ``items``."""
        while len(self.items) < count:
            await RisingEdge(self.dut.clk)
        taken, self.items[:] = self.items[:count], self.items[count:]
        return taken

    def stop(self) -> None:
        """Stop taking items."""
        self._task.cancel()
        if self.ready is not None:
            self.ready.value = 0

    async def _run(self) -> None:
        while True:
            if self.ready is not None:
                self.ready.value = int(self.rng.random() >= self.stall)
            await ReadOnly()
            if self.transfers():
                self.items.append(int(self.payload.value))
            await RisingEdge(self.dut.clk)


class StreamMonitor(_Stream):
    """Fails the test when a stream breaks the protocol: an offered item must stay, unchanged, until it is taken.

    A reset of the design ends all offers. Streams without back-pressure have nothing to break.
    """

    def __init__(self, dut: HierarchyObject, name: str):
        super().__init__(dut, name)
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        offered = None
        while True:
            await ReadOnly()
            if offered is not None:
                assert self.valid.value, f"{self.name}: valid dropped before the item was taken"
                assert self.payload.value == offered, f"{self.name}: payload changed before the item was taken"
            waits = bool(self.valid.value) and not self.transfers() and not self.dut.rst.value
            offered = self.payload.value if waits else None
            await RisingEdge(self.dut.clk)


def monitor(dut: HierarchyObject, names: Sequence[str]) -> None:
    """Watch the protocol of several streams."""
    for name in names:
        StreamMonitor(dut, name)
