"""Firmware out of a flash chip."""

import random

import pytest
from amaranth import Module, ResetInserter
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.soc.bus import bus_signature
from hw.soc.flash import FlashLoader
from sim.flash import FlashChip
from sim.runner import run_bench

ADDRESS = 0x020000


class LoaderAndChip(wiring.Component):
    """A loader at its chip; ``restart`` resets the loader alone."""

    def __init__(self, words: list[int]):
        self._loader = FlashLoader(address=ADDRESS, words=len(words))
        self._chip = FlashChip(hertz=100_000_000, address=ADDRESS, words=words)
        bus = bus_signature((len(words) - 1).bit_length())
        super().__init__({"restart": In(1), "bus": Out(bus), "done": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.loader = ResetInserter(self.restart)(self._loader)
        m.submodules.chip = self._chip
        connect(m, self._loader.pins, self._chip.pins)
        connect(m, self._loader.bus, flipped(self.bus))
        m.d.comb += self.done.eq(self._loader.done)
        return m


def test_words_are_copied():
    rng = random.Random(1)
    words = [rng.getrandbits(32) for _ in range(32)]
    result = run_bench(LoaderAndChip(words), "sim.benches.soc.flash", parameters={"words": words})
    assert set(result.tests) == {
        "every_word_arrives",
        "a_slow_memory_gets_them_too",
        "after_a_reset_everything_is_copied_again",
    }


@pytest.mark.parametrize("words", [0, 3, "4"])
def test_a_number_of_words_that_is_no_power_of_two(words):
    with pytest.raises(TypeError, match="words must be a power of two"):
        FlashLoader(address=0, words=words)


@pytest.mark.parametrize("address", [-1, (1 << 24) - 4, 0.5])
def test_an_address_outside_the_chip(address):
    with pytest.raises(TypeError, match="are not inside a chip of 16777216 bytes"):
        FlashLoader(address=address, words=2)
