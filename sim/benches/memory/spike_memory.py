"""Spike memory against a list of beats."""

import random
from collections import deque

import cocotb

from hw.beats import address_shape, spikes_layout
from hw.config import HardwareConfig
from sim.benches.clocked import Clocked
from sim.streams import generator, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
BEAT = spikes_layout(CONFIG).size
BEATS = CONFIG.spike_depth * CONFIG.word_beats


class Model:
    """The contents, and what the read ports show: the word that was read last, until the next read; a beat two cycles
    after it was read.

    ``pending`` is on its way into the memory: who reads its beat now may get anything.
    """

    def __init__(self, dut):
        self.design = Clocked(dut, ["data", "beat_data"])
        self.beats = [0] * BEATS
        self.rng = generator("noise")
        self.pending: tuple[int, int] | None = None
        self.word: tuple[int, int] | None = None
        self.coming: deque[tuple[int, int] | None] = deque([None, None])

    def read(self, addresses: range) -> tuple[int, int]:
        """The beats at some addresses, and a mask of the bits that are known."""
        known = [0 if self.pending and address == self.pending[0] else 2**BEAT - 1 for address in addresses]
        return pack((self.beats[address] for address in addresses), BEAT), pack(known, BEAT)

    async def cycle(self, *, write=None, word=None, beat=None) -> None:
        """One cycle: check what is shown; write (address, data), read the word or the beat at an address."""
        # Addresses and data without a request are noise.
        address, payload = write or (self.rng.randrange(BEATS), self.rng.getrandbits(BEAT))
        seen = await self.design.cycle(
            write__valid=write is not None,
            write__payload=address | payload << address_shape(CONFIG).width,
            enable=word is not None,
            address=self.rng.randrange(CONFIG.spike_depth) if word is None else word,
            beat_enable=beat is not None,
            beat_address=self.rng.randrange(BEATS) if beat is None else beat,
        )
        for shown, expected in ((seen.data, self.word), (seen.beat_data, self.coming.popleft())):
            if expected is not None:
                value, known = expected
                assert shown & known == value & known
        self.coming.append(None if beat is None else self.read(range(beat, beat + 1)))
        if beat is not None:
            self.word = None
        elif word is not None:
            self.word = self.read(range(word * CONFIG.word_beats, (word + 1) * CONFIG.word_beats))
        if self.pending is not None:
            self.beats[self.pending[0]] = self.pending[1]
        self.pending = write


def chance(rng: random.Random, probability: float, value):
    return value if rng.random() < probability else None


async def fill(model: Model, rng: random.Random) -> None:
    """Write every beat once, in random order."""
    for address in rng.sample(range(BEATS), BEATS):
        await model.cycle(write=(address, rng.getrandbits(BEAT)))
    await model.cycle()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_accesses(dut):
    """Reads and writes in the same cycle, to the same word too."""
    await start(dut)
    rng = generator("accesses")
    model = Model(dut)
    await fill(model, rng)
    for span in (CONFIG.word_beats, BEATS):
        for _ in range(1500):
            write = chance(rng, 0.6, (rng.randrange(span), rng.choice((0, 2**BEAT - 1, rng.getrandbits(BEAT)))))
            word = chance(rng, 0.6, rng.randrange(span) // CONFIG.word_beats)
            beat = chance(rng, 0.3, rng.randrange(span))
            await model.cycle(write=write, word=word, beat=beat)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def contents_survive_a_reset(dut):
    """Spikes stay through a reset."""
    await start(dut)
    rng = generator("reset")
    model = Model(dut)
    await fill(model, rng)
    await reset(dut, 2)
    for address in range(CONFIG.spike_depth):
        await model.cycle(word=address)
    await model.cycle()
