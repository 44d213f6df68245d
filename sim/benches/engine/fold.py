"""Difference, bit-planes and folds against their definitions."""

import random
from collections import deque

import cocotb

from hw.config import HardwareConfig
from hw.engine.fold import FOLD_CYCLES, bit_plane_cycles
from hw.program import Fold
from sim.benches.clocked import Clocked
from sim.streams import generator, pack, parameters, reset, start, unpack

CONFIG = HardwareConfig(**parameters())
BEATS, T = CONFIG.group_beats, CONFIG.timesteps
COUNT = CONFIG.beat_channels * T
ACC, CURRENT = CONFIG.acc_bits, CONFIG.current_bits
DIFFERENCE_CYCLES = 2


def random_values(rng: random.Random, bits: int) -> list[int]:
    """Signed values of one beat, channel by channel, often the smallest or largest of ``bits`` bits."""
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return [rng.choice((0, low, high, rng.randint(low, high))) for _ in range(COUNT)]


async def prepare(dut, name: str, outputs: list[str], **inputs: int) -> Clocked:
    part = Clocked(dut, outputs, prefix=f"{name}__")
    part.set(**inputs)
    await start(dut)
    return part


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def differences(dut):
    """Beats in almost any order, each against the same beat before or, with ``fresh``, against zero."""
    rng = generator("differences")
    part = await prepare(dut, "difference", ["values"], fresh=1, valid=0, beat=0, sums=0)
    previous, due, beat = {}, deque([None] * DIFFERENCE_CYCLES), 0
    for _ in range(3000):
        # No beat comes in two cycles running.
        beat = (beat + rng.randrange(1, BEATS)) % BEATS
        valid, sums = rng.random() < 0.8, random_values(rng, ACC)
        fresh = beat not in previous or rng.random() < 0.1
        seen = await part.cycle(fresh=fresh, valid=valid, beat=beat, sums=pack(sums, ACC))
        expected = due.popleft()
        assert expected is None or seen.values == pack(expected, ACC)
        old = [0] * COUNT if fresh else previous[beat]
        due.append([a - b for a, b in zip(sums, old, strict=True)] if valid else None)
        if valid:
            previous[beat] = sums
        elif rng.random() < 0.1:
            await reset(dut, 1)
            previous, due = {}, deque([None] * DIFFERENCE_CYCLES)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def weighted_bit_planes(dut):
    """Weighted sums and unchanged sums in turns, one beat a cycle."""
    rng = generator("planes")
    part = await prepare(dut, "planes", ["values"], enable=0, sums=0)
    due = deque([None] * bit_plane_cycles(CONFIG))
    for number in range(1000):
        # The first beats are all at one limit: the largest weighted sums that there are.
        sums = [[-(2 ** (ACC - 1)), 2 ** (ACC - 1) - 1][number % 2]] * COUNT if number < 8 else random_values(rng, ACC)
        due.append(sums)
        # The choice is made for the beat that leaves in the next cycle.
        enable, leaving = rng.getrandbits(1), due[1]
        expected = due.popleft()
        seen = await part.cycle(enable=enable, sums=pack(sums, ACC))
        assert expected is None or unpack(seen.values, CURRENT, COUNT, signed=True) == expected
        if leaving is not None and enable:
            for first in range(0, COUNT, T):
                leaving[first] = sum(value << step for step, value in enumerate(leaving[first : first + T]))


def combine(op: Fold, old: list[int], new: list[int]) -> list[int]:
    """The fold of two positions, by definition."""
    folds = {
        Fold.MAX: max,
        Fold.SUM: lambda a, b: a + b,
        Fold.COUNTS: lambda a, b: 2 * a + b,
        Fold.BITS: lambda a, b: (a << T) + b,
    }
    return [folds[op](a, b) for a, b in zip(old, new, strict=True)]


def shown(op: Fold, values: list[int]) -> list[int]:
    """What leaves for a beat: BITS looks at the first timestep only."""
    return [values[index - index % T] for index in range(COUNT)] if op is Fold.BITS else values


class Store:
    """The store and what it should hold, cycle by cycle."""

    def __init__(self, part: Clocked):
        self._part = part
        self._stored: dict[int, list[int]] = {}
        self._used: dict[int, int] = {}
        self._now = 0
        self.forget()

    def forget(self) -> None:
        """What is in the pipeline will not be compared."""
        self._due: deque[list[int] | None] = deque([None] * FOLD_CYCLES)

    async def cycle(self, *, op: Fold, expected: list[int] | None = None, **inputs: int) -> None:
        """One cycle; ``expected`` is what will leave for it."""
        seen = await self._part.cycle(**{"op": op, "valid": 0, "first": 0, "recall": 0, "direct": 0} | inputs)
        due = self._due.popleft()
        assert due is None or unpack(seen.result, CURRENT, COUNT, signed=True) == due
        self._due.append(expected)
        self._now += 1

    async def _free(self, op: Fold, beat: int) -> None:
        """Wait until a beat may come again."""
        while self._now < self._used.get(beat, 0) + FOLD_CYCLES:
            await self.cycle(op=op)
        self._used[beat] = self._now

    async def fold(self, op: Fold, beat: int, values: list[int], *, first: bool, direct: bool) -> None:
        """Fold a beat in; the folded one leaves, or with ``direct`` the beat itself."""
        await self._free(op, beat)
        self._stored[beat] = values if first else combine(op, self._stored[beat], values)
        expected = shown(op, values if direct else self._stored[beat])
        await self.cycle(
            op=op, expected=expected, valid=1, first=first, direct=direct, beat=beat, values=pack(values, CURRENT)
        )

    async def recall(self, op: Fold, beat: int, noise: int) -> None:
        """See a folded beat once more."""
        await self._free(op, beat)
        await self.cycle(op=op, expected=shown(op, self._stored[beat]), recall=1, beat=beat, values=noise)

    async def settle(self, op: Fold) -> None:
        """Wait until everything has left: then the operation may change."""
        for _ in range(FOLD_CYCLES):
            await self.cycle(op=op)


# A sum of 16 positions, and three planes of T bits, still are currents.
POSITIONS = {Fold.MAX: 9, Fold.SUM: 16, Fold.BITS: 3, Fold.COUNTS: 4}


def random_beat(rng: random.Random, op: Fold) -> list[int]:
    """A beat of accumulators; the first timestep of a BITS fold may be wider."""
    if op is not Fold.BITS:
        return random_values(rng, ACC)
    wide, narrow = random_values(rng, CURRENT - 2 * T - 1), random_values(rng, ACC)
    return [narrow[index] if index % T else wide[index] for index in range(COUNT)]


async def check_tile(store: Store, rng: random.Random, op: Fold, positions: int, *, complete: bool = True) -> None:
    """Fold one tile of beats with gaps, and recall it."""
    beats = rng.randint(1, BEATS)
    for position in range(positions):
        for beat in range(beats):
            for _ in range(rng.choice((0, 0, 0, 2))):
                await store.cycle(op=op)
            await store.fold(op, beat, random_beat(rng, op), first=position == 0, direct=rng.random() < 0.3)
    if complete:
        for beat in range(beats):
            await store.recall(op, beat, rng.getrandbits(COUNT * CURRENT))
        await store.settle(op)


async def prepare_store(dut) -> Store:
    return Store(
        await prepare(dut, "store", ["result"], op=Fold.MAX, valid=0, first=0, recall=0, direct=0, beat=0, values=0)
    )


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def folds(dut):
    """Tiles of one to many positions, all operations in turns; a beat may come again when it is folded."""
    rng = generator("folds")
    store = await prepare_store(dut)
    for _ in range(50):
        for op in rng.sample(list(POSITIONS), k=len(POSITIONS)):
            await check_tile(store, rng, op, rng.choice((1, 2, POSITIONS[op])))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_a_tile(dut):
    """After a reset in the middle of a tile the next tile is whole."""
    rng = generator("reset")
    store = await prepare_store(dut)
    for op in POSITIONS:
        for _ in range(10):
            await check_tile(store, rng, op, 2, complete=False)
            await reset(dut, 1)
            store.forget()
            await check_tile(store, rng, op, POSITIONS[op])
