"""A SPI flash chip in simulation, at its pins."""

from collections.abc import Sequence

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In

from hw.soc.bus import WORD_BITS
from hw.soc.flash import ADDRESS_BITS, READ, WAKE, flash_signature

WAKE_SECONDS = 3e-6
"""From the command to leave power-down to the next one (Winbond W25Q128JV, AC characteristics, tRES1)."""


class FlashChip(wiring.Component):
    """A chip that has been left in power-down, and knows how to be woken and how to be read.

    What it does not understand, or hears too soon, it does not answer: its line stays 0. Where nothing has been written
    it has ones. Looked at once a cycle, so that its clock runs at half of this one at most.

    Parameters
    ----------
    hertz : frequency of the clock
    address : of its first word that has been written
    words : that have been written, from there on

    Members
    -------
    pins : In(`hw.soc.flash.flash_signature`)

    A reset is a power-up: contents stay.
    """

    def __init__(self, *, hertz: int, address: int, words: Sequence[int]):
        self._wake_cycles = round(WAKE_SECONDS * hertz) + 1
        self._address, self._words = address, list(words)
        super().__init__({"pins": In(flash_signature())})

    def elaborate(self, platform):
        m = Module()
        pins, before, awake = self.pins, Signal(), Signal()
        waking, heard = Signal(range(self._wake_cycles + 1)), Signal(8 + ADDRESS_BITS)
        bits, reading = Signal(range(8 + ADDRESS_BITS + 1)), Signal()
        hears, speaks = pins.select & pins.clock & ~before, pins.select & ~pins.clock & before
        complete = hears & (bits == 8 + ADDRESS_BITS - 1)
        word = Cat(pins.command, heard)
        m.d.sync += before.eq(pins.clock)
        with m.If(hears):
            m.d.sync += [heard.eq(word), bits.eq(Mux(bits == 8 + ADDRESS_BITS, bits, bits + 1))]
        with m.If(complete & awake & (word[ADDRESS_BITS : ADDRESS_BITS + 8] == READ)):
            m.d.sync += reading.eq(1)
        bit = self._bits(m, complete, word[:ADDRESS_BITS], speaks)
        with m.If(speaks & reading):
            m.d.sync += pins.answer.eq(bit)
        with m.If(waking != 0):
            m.d.sync += [waking.eq(waking - 1), awake.eq(waking == 1)]
        with m.If(~pins.select):
            m.d.sync += [bits.eq(0), reading.eq(0), pins.answer.eq(0)]
            with m.If((bits == 8) & (heard[:8] == WAKE) & ~awake):
                m.d.sync += waking.eq(self._wake_cycles)
        return m

    def _bits(self, m, begins, address, goes_on):
        """The bit at a place, which begins at the highest of a byte; return it, in the cycles after these."""
        place, following, offset = Signal(3 + ADDRESS_BITS), Signal(3 + ADDRESS_BITS), Signal(ADDRESS_BITS)
        m.submodules.words = words = memory.Memory(shape=WORD_BITS, depth=len(self._words), init=self._words)
        port, first, size = words.read_port(), self._address, WORD_BITS // 8 * len(self._words)
        m.d.comb += [
            following.eq(Mux(begins, address << 3, place + goes_on)),
            offset.eq(following[3:] - first),
            port.addr.eq(offset[2:]),
        ]
        written = Signal()
        m.d.sync += [place.eq(following), written.eq((following[3:] >= first) & (offset < size))]
        return Mux(written, port.data.bit_select(Cat(~place[:3], (place[3:] - first)[:2]), 1), 1)
