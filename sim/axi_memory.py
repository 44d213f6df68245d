"""External memory in cocotb: a maintained model of an AXI memory, with a latency and a bandwidth."""

import random
from collections import deque
from collections.abc import Iterator

import cocotb
from cocotb.handle import LogicObject
from cocotb.triggers import RisingEdge
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiMaster, AxiRam, AxiRamRead, AxiReadBus

from sim.streams import CLOCK_NS


class AxiMemory(AxiRamRead):
    """`cocotbext.axi.AxiRamRead` whose bursts wait for the latency of a memory, all at the same time.

    Parameters
    ----------
    bus, clock, reset : as there
    contents : what the memory holds, from address 0 on
    latency : cycles by which the first word of a burst is later than it could be; at 0 it is transferred two cycles
        after its address, or right behind the words that were asked for before
    bandwidth : share of the cycles in which a word may be transferred
    stall, rng : probability that an address or a word waits for a cycle, and the source of these pauses
    """

    def __init__(
        self,
        bus: AxiReadBus,
        clock: LogicObject,
        reset: LogicObject,
        *,
        contents: bytes,
        latency: int,
        bandwidth: float = 1.0,
        stall: float = 0.0,
        rng: random.Random | None = None,
    ):
        super().__init__(bus, clock, reset, mem=bytearray(contents))
        # The model says what it does with every burst.
        self.log.setLevel("WARNING")
        # Bursts wait inside, as many as come.
        self.ar_channel.queue_occupancy_limit = -1
        self._latency = latency
        self._left = 0  # words of the burst that is being read
        self._due: deque[tuple[int, float]] = deque()
        if latency:
            cocotb.start_soon(self._watch())
        if stall:
            self.ar_channel.set_pause_generator(_pauses(1.0, stall, rng))
        if stall or bandwidth < 1:
            self.r_channel.set_pause_generator(_pauses(bandwidth, stall, rng))

    async def _watch(self) -> None:
        """Note when the first word of every burst may leave."""
        channel = self.bus.ar
        while True:
            await RisingEdge(self.clock)
            if self.reset.value:
                self._due.clear()
                self._left = 0
            elif channel.arvalid.value and channel.arready.value:
                due = get_sim_time("ns") + self._latency * CLOCK_NS
                self._due.append((int(channel.arlen.value) + 1, due))

    async def _read(self, address: int, length: int) -> bytes:
        if self._latency and not self._left:
            while not self._due or get_sim_time("ns") < self._due[0][1]:
                await RisingEdge(self.clock)
            self._left, _due = self._due.popleft()
        self._left -= 1
        return await super()._read(address, length)


def stall_channels(memory: AxiRam | AxiMaster, chance: float, rng: random.Random) -> None:
    """Let all five channels of one end of a bus wait, each with some probability in a cycle."""
    read, write = memory.read_if, memory.write_if
    for channel in (read.ar_channel, read.r_channel, write.aw_channel, write.w_channel, write.b_channel):
        channel.set_pause_generator(_pauses(1.0, chance, rng))


def _pauses(bandwidth: float, stall: float, rng: random.Random | None) -> Iterator[bool]:
    """Yield for every cycle whether a channel pauses: as often as the bandwidth demands, and at random."""
    saved = 0.0
    while True:
        saved = min(1.0, saved) + bandwidth
        moves = saved >= 1.0 and not (stall and rng.random() < stall)
        saved -= moves
        yield not moves
