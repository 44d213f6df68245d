"""Pooled query counts against sums of the spikes, as tight as the engine may send them."""

import random
from dataclasses import dataclass

import cocotb

from hw.beats import address_shape, route_fields, routed_layout, spikes_layout
from hw.config import HardwareConfig
from sim.benches.clocked import Clocked
from sim.streams import generator, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
P, T, GROUP = CONFIG.beat_channels, CONFIG.timesteps, CONFIG.group_beats
LAYOUT = routed_layout(CONFIG)
BEAT = spikes_layout(CONFIG).size
ADDRESS_BITS = address_shape(CONFIG).width
LATENCY = 5


@dataclass(frozen=True)
class Job:
    """Tiles of ``positions`` positions with ``beats`` beats, whose counts have ``planes`` bits."""

    positions: int
    beats: int
    planes: int
    base: int
    plane: int

    def writes(self, tile: int, spikes: list[list[list[int]]]) -> list[int]:
        """Payloads that write the counts of a tile, from its spikes [position][beat][P * T]."""
        payloads = []
        for plane in range(self.planes):
            for beat in range(self.beats):
                counts = [sum(values) for values in zip(*(position[beat] for position in spikes), strict=True)]
                address = (self.base + plane * self.plane + tile + beat) % 2**ADDRESS_BITS
                bits = pack([count >> (self.planes - 1 - plane) & 1 for count in counts], 1)
                payloads.append(address | bits << ADDRESS_BITS)
        return payloads


def random_job(rng: random.Random, positions: int, beats: int, planes: int) -> Job:
    return Job(positions, beats, planes, rng.getrandbits(ADDRESS_BITS), rng.getrandbits(ADDRESS_BITS))


class Driver:
    """The unit in its surroundings, where what is written by others goes first."""

    def __init__(self, dut, rng: random.Random):
        self.design = Clocked(dut, ["busy", "o__valid", "o__payload"])
        self.rng = rng
        self.number = 0  # of the cycle
        self.taken: list[int] = []
        self.shown: list[int] = []  # cycles in which something is offered
        self.busy: list[int] = []
        self.free = 0.0  # probability of a cycle that others take
        self.offered: int | None = None
        self.design.set(i__valid=0, enable=0, o__ready=0, base=0, plane=0, last_plane=0)

    async def cycle(self, record: int | None = None) -> None:
        """One cycle, with a record of the layer, one of another layer, or none."""
        other = record is None and self.rng.random() < self.free
        ready = record is None and not other
        seen = await self.design.cycle(
            i__valid=record is not None or other,
            i__payload=self.rng.getrandbits(LAYOUT.size) if record is None else record,
            enable=record is not None or self.rng.getrandbits(1) * (not other),
            o__ready=ready,
        )
        if self.offered is not None:
            assert seen.o__valid, "valid dropped before the item was taken"
            assert seen.o__payload == self.offered, "payload changed before the item was taken"
        self.offered = seen.o__payload if seen.o__valid and not ready else None
        if seen.o__valid:
            self.shown.append(self.number)
            if ready:
                self.taken.append(seen.o__payload)
        if seen.busy:
            self.busy.append(self.number)
        self.number += 1

    async def position(self, job: Job, spikes: list[list[int]], tile: int, *, opens: bool, closes: bool) -> int:
        """Send the beats of a position, in consecutive cycles; returns the cycle of the first one."""
        first = self.number
        for beat, values in enumerate(spikes):
            noise = {name: self.rng.getrandbits(1) for name in ("first", "last")}
            route = {name: 0 for name in route_fields(CONFIG)} | noise
            route |= {"beat": beat, "open": int(opens), "close": int(closes), "tile": tile + beat}
            route |= {name: self.rng.getrandbits(LAYOUT[name].width) for name in ("address", "channel")}
            data = [pack(values[channel * T : channel * T + T], 1) for channel in range(P)]
            await self.cycle(LAYOUT.const({"data": data} | route).as_bits())
        return first

    def configure(self, job: Job) -> None:
        self.design.set(base=job.base, plane=job.plane, last_plane=job.planes - 1)


def random_spikes(rng: random.Random, job: Job) -> list[list[list[int]]]:
    """Spikes [position][beat][P * T] of a tile, from silent to everything."""
    density = rng.choice((0, 0.2, 0.5, 1))
    return [
        [[int(rng.random() < density) for _ in range(P * T)] for _ in range(job.beats)] for _ in range(job.positions)
    ]


async def run(driver: Driver, job: Job, tiles: int, *, slack: int = 0) -> None:
    """Send tiles one after the other, up to ``slack`` cycles more between positions, and compare every write."""
    rng, expected = driver.rng, []
    driver.configure(job)
    driver.taken.clear()
    driver.shown.clear()
    driver.busy.clear()
    begun, tile = driver.number, rng.getrandbits(10)
    closed = None
    for _ in range(tiles):
        spikes = random_spikes(rng, job)
        for number, position in enumerate(spikes):
            closes = number == job.positions - 1
            first = await driver.position(job, position, tile, opens=number == 0, closes=closes)
            if closes and closed is None:
                closed = first
            # What others take in between comes on top of the cycles that the counts need.
            room = max(job.beats, 3 - job.beats) if driver.free == 0 else 4 * job.planes * job.beats
            for _ in range(room + rng.randint(0, slack)):
                await driver.cycle()
        expected += job.writes(tile, spikes)
        tile += rng.randrange(job.beats, 100)
    for _ in range(5 + job.planes * job.beats * (1 if driver.free == 0 else 8)):
        await driver.cycle()
    assert driver.taken == expected
    assert driver.shown[0] == closed + LATENCY
    assert driver.busy[0] == begun + 1
    assert driver.busy[-1] == driver.shown[-1]
    window = range(closed + 1, driver.shown[0] + 1)
    assert set(window) <= set(driver.busy)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def random_tiles(dut):
    """Tiles of all sizes, groups of all sizes, positions as close together as they may be, and further apart."""
    await start(dut)
    driver = Driver(dut, generator("tiles"))
    for positions in (1, 4, 16):
        for beats in range(1, GROUP + 1):
            # As many planes as there are cycles for.
            for planes in {positions.bit_length(), min(positions, CONFIG.count_bits)}:
                for slack in (0, 5):
                    await run(driver, random_job(driver.rng, positions, beats, planes), 6, slack=slack)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def others_write(dut):
    """Spikes of other layers are not counted, and go first; counts with more bits than they need."""
    await start(dut)
    driver = Driver(dut, generator("others"))
    driver.free = 0.5
    for positions in (1, 4, 2**CONFIG.count_bits - 1):
        await run(driver, random_job(driver.rng, positions, GROUP, CONFIG.count_bits), 3)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def reset_in_flight(dut):
    """A reset drops what is counted and what is to be written; the next tile is whole."""
    await start(dut)
    driver = Driver(dut, generator("reset"))
    job = random_job(driver.rng, 4, GROUP, 3)
    for age in range(0, 3 * GROUP, 2):
        driver.configure(job)
        for opens, closes in ((True, False), (False, True)):
            await driver.position(job, random_spikes(driver.rng, job)[0], 0, opens=opens, closes=closes)
        for _ in range(age):
            await driver.cycle()
        driver.design.set(i__valid=0, o__ready=0)
        await reset(dut)
        driver.offered = None
        await run(driver, Job(4, 2, 3, 100, 50), 2)
