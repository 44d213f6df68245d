"""Driving a pipeline without back-pressure cycle by cycle, so that a bench can state when every beat leaves."""

import random
from collections.abc import Callable, Iterable, Sequence

from cocotb.handle import HierarchyObject
from cocotb.triggers import ReadOnly, RisingEdge


def with_gaps(items: Iterable, stall: float, rng: random.Random) -> list:
    """Return the items with idle cycles, None, in front of them; ``stall`` is the probability of each."""
    schedule = []
    for item in items:
        while rng.random() < stall:
            schedule.append(None)
        schedule.append(item)
    return schedule


class Recorder:
    """What leaves a design, ``items[NAME][cycle]``, where cycle 0 is the first one of `observe`."""

    def __init__(self, dut: HierarchyObject, names: Sequence[str]):
        self.cycle = 0
        self.items = {name: {} for name in names}
        self._ports = {name: (getattr(dut, f"{name}__valid"), getattr(dut, f"{name}__payload")) for name in names}

    def observe(self):
        """Take what leaves in this cycle; the signals must be settled."""
        for name, (valid, payload) in self._ports.items():
            if valid.value:
                self.items[name][self.cycle] = int(payload.value)
        self.cycle += 1


async def play(
    dut: HierarchyObject,
    schedule: Sequence[int | None],
    recorder: Recorder,
    rng: random.Random,
    *,
    each_cycle: Callable[[int], None] = lambda cycle: None,
):
    """Offer ``schedule[k]`` on stream ``i`` in cycle k, and noise on its payload where there is None.

    ``each_cycle`` is called with k when the signals have settled. Ends after the edge of the last cycle.
    """
    bits = len(dut.i__payload)
    for cycle, item in enumerate(schedule):
        dut.i__valid.value = item is not None
        dut.i__payload.value = rng.getrandbits(bits) if item is None else item
        await ReadOnly()
        recorder.observe()
        each_cycle(cycle)
        await RisingEdge(dut.clk)
    dut.i__valid.value = 0


async def serve_memory(dut: HierarchyObject, name: str, read: Callable[[int], int]):
    """Be a memory with a synchronous read port ``NAME_address``, ``NAME_data``; ``read`` is called before the edge."""
    address, data = getattr(dut, f"{name}_address"), getattr(dut, f"{name}_data")
    while True:
        await ReadOnly()
        value = read(int(address.value))
        await RisingEdge(dut.clk)
        data.value = value
