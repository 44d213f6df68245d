"""Difference, bit-planes and folds against their definitions."""

import random

import cocotb

from hw.config import HardwareConfig
from hw.program import Fold
from sim.benches.clocked import Clocked
from sim.streams import generator, pack, parameters, reset, start, unpack

CONFIG = HardwareConfig(**parameters())
BEATS, T = CONFIG.group_beats, CONFIG.timesteps
COUNT = CONFIG.beat_channels * T
ACC, CURRENT = CONFIG.acc_bits, CONFIG.current_bits


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
    """Beats in any order; the first value of each after a clear or a reset is compared with zero."""
    rng = generator("differences")
    part = await prepare(dut, "difference", ["values"], clear=0, valid=0, beat=0, sums=0)
    previous = {}
    expected = None
    for _ in range(3000):
        valid, beat, sums = rng.random() < 0.8, rng.randrange(BEATS), random_values(rng, ACC)
        clear = not valid and rng.random() < 0.1
        seen = await part.cycle(clear=clear, valid=valid, beat=beat, sums=pack(sums, ACC))
        if expected is not None:
            assert seen.values == pack(expected, ACC)
        expected = None
        if valid:
            expected = [new - old for new, old in zip(sums, previous.get(beat, [0] * COUNT), strict=True)]
            previous[beat] = sums
        elif rng.random() < 0.1:
            await reset(dut, 1)
            previous = {}
        if clear:
            previous = {}


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def weighted_bit_planes(dut):
    """Weighted sums and unchanged sums in turns, one beat a cycle."""
    rng = generator("planes")
    part = await prepare(dut, "planes", ["values"], enable=0, sums=0)
    expected = None
    for number in range(1000):
        enable = rng.getrandbits(1)
        # The first beats are all at one limit: the largest weighted sums that there are.
        sums = [[-(2 ** (ACC - 1)), 2 ** (ACC - 1) - 1][number % 2]] * COUNT if number < 8 else random_values(rng, ACC)
        seen = await part.cycle(enable=enable, sums=pack(sums, ACC))
        assert expected is None or unpack(seen.values, CURRENT, COUNT, signed=True) == expected
        rows = [sums[first : first + T] for first in range(0, COUNT, T)]
        planes = [sum(value << step for step, value in enumerate(row)) for row in rows]
        expected = [total for total in planes for _ in range(T)] if enable else sums


def combine(op: Fold, old: list[int], new: list[int]) -> list[int]:
    """The fold of two positions, by definition."""
    pairs = zip(old, new, strict=True)
    if op is Fold.MAX:
        return [max(pair) for pair in pairs]
    return [(a << T if op is Fold.BITS else a) + b for a, b in pairs]


async def check_fold(part: Clocked, rng: random.Random, op: Fold, bits: int, positions: int, stored: dict):
    """Fold one tile of beats with gaps, and read folded beats all the time; ``stored`` is what they should be."""
    beats = rng.randint(1, BEATS)
    for position in range(positions):
        for beat in range(beats):
            for valid in [False] * rng.choice((0, 0, 2)) + [True]:
                values, read = random_values(rng, bits), rng.choice(list(stored))
                seen = await part.cycle(
                    op=op,
                    valid=valid,
                    first=position == 0,
                    beat=beat,
                    values=pack(values, CURRENT),
                    read_beat=read,
                )
                assert unpack(seen.result, CURRENT, COUNT, signed=True) == stored[read]
            stored[beat] = combine(op, stored[beat], values) if position else values
    part.set(valid=0)


async def prepare_store(dut, rng: random.Random) -> tuple[Clocked, dict[int, list[int]]]:
    """The store with a known value in every beat."""
    part = await prepare(dut, "store", ["result"], op=Fold.MAX, valid=0, first=0, beat=0, values=0, read_beat=0)
    stored = {beat: random_values(rng, CURRENT) for beat in range(BEATS)}
    for beat, values in stored.items():
        await part.cycle(valid=1, first=1, beat=beat, values=pack(values, CURRENT))
    part.set(valid=0)
    return part, stored


# A sum of 16 positions, and three planes of T bits, still are currents.
BITS = {Fold.MAX: CURRENT, Fold.SUM: CURRENT - 4, Fold.BITS: CURRENT - 2 * T - 1}
POSITIONS = {Fold.MAX: 9, Fold.SUM: 16, Fold.BITS: 3}


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def folds(dut):
    """Tiles of one to many positions, all operations in turns; a beat can be read one cycle after its last value."""
    rng = generator("folds")
    part, stored = await prepare_store(dut, rng)
    for _ in range(50):
        for op in rng.sample(list(BITS), k=len(BITS)):
            await check_fold(part, rng, op, BITS[op], rng.choice((1, 2, POSITIONS[op])), stored)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_a_tile(dut):
    """After a reset in the middle of a tile the next tile is whole."""
    rng = generator("reset")
    part, stored = await prepare_store(dut, rng)
    for op in BITS:
        await check_fold(part, rng, op, BITS[op], 2, stored)
        await reset(dut)
        await check_fold(part, rng, op, BITS[op], POSITIONS[op], stored)
