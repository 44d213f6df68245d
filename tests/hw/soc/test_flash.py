"""Firmware out of a flash chip."""

import random
from dataclasses import replace

import pytest
from amaranth import Module, ResetInserter
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.serial.config import SERIAL, SerialConfig
from hw.soc.bus import bus_signature, connect_words
from hw.soc.flash import FlashLoader
from hw.soc.ram import BusMemory
from hw.soc.serial import FIRMWARE_WORDS, FirmwareInStore
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


class StoreAndChip(wiring.Component):
    """The end of a store, the store itself, and the chip; a reset of all is a power-up of the chip."""

    def __init__(self, *, config: SerialConfig, words: list[int]):
        self._shared = FirmwareInStore(config=config, flash=ADDRESS)
        self._store = BusMemory(depth=config.store_depth)
        self._chip = FlashChip(hertz=100_000_000, address=ADDRESS, words=words)
        members = self._shared.signature.members
        super().__init__({name: members[name] for name in ("firmware", "program", "done")})

    def elaborate(self, platform):
        m = Module()
        m.submodules.shared, m.submodules.store, m.submodules.chip = self._shared, self._store, self._chip
        connect(m, self._shared.pins, self._chip.pins)
        connect_words(m, self._shared.store, self._store.bus)
        connect(m, flipped(self.firmware), self._shared.firmware)
        connect(m, flipped(self.program), self._shared.program)
        m.d.comb += self.done.eq(self._shared.done)
        return m


def test_the_end_of_the_store_is_the_cores():
    config = replace(SERIAL["serial-8"], store_depth=4096)
    rng = random.Random(2)
    words = [rng.getrandbits(32) for _ in range(FIRMWARE_WORDS)]
    parts = StoreAndChip(config=config, words=words)
    parameters = {"words": words, "depth": config.store_depth}
    result = run_bench(parts, "sim.benches.soc.firmware_store", parameters=parameters)
    assert set(result.tests) == {"firmware_and_program_have_their_own_words", "a_reset_brings_the_firmware_back"}


@pytest.mark.parametrize("words", [0, 3, "4"])
def test_a_number_of_words_that_is_no_power_of_two(words):
    with pytest.raises(TypeError, match="words must be a power of two"):
        FlashLoader(address=0, words=words)


@pytest.mark.parametrize("address", [-1, (1 << 24) - 4, 0.5])
def test_an_address_outside_the_chip(address):
    with pytest.raises(TypeError, match="are not inside a chip of 16777216 bytes"):
        FlashLoader(address=address, words=2)
