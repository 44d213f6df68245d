"""Firmware out of a SPI flash chip, for boards whose block RAMs have no room for it."""

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.soc.bus import WORD_BITS, bus_signature

WAKE, READ = 0xAB, 0x03
"""Commands: leave the power-down in which an iCE40 leaves the chip that it has been configured from, and read from an
address on (Winbond W25Q128JV, instruction set table 1)."""

ADDRESS_BITS = 24

REST_CYCLES = 1024
"""Before each of the two: what was said to the chip before a reset ends, and it takes 3 us to wake up (tRES1); these
are 10 us with a clock of 100 MHz."""


def flash_signature() -> wiring.Signature:
    """The pins of a chip, seen from who reads it: ``select`` is active at 1, ``clock`` is 0 at rest (SPI mode 0)."""
    return wiring.Signature({"select": Out(1), "clock": Out(1), "command": Out(1), "answer": In(1)})


class FlashLoader(wiring.Component):
    """Copies words from a flash chip to the beginning of a memory, once after every reset.

    Parameters
    ----------
    address : of the first byte in the chip
    words : how many are copied, a power of two

    Members
    -------
    pins : Out(`flash_signature`), the chip, whose clock runs at half of this one; it holds words lowest byte first
    bus : Out(`hw.soc.bus.bus_signature`), the memory
    done : Out(1), everything is copied

    **Latency**: ``2 * REST_CYCLES + 66 * words`` cycles and some 80 more. **Throughput**: a word in 66 cycles, or later
    where the memory makes it wait.

    Raises TypeError for an address that the chip does not have, or a number of words that is no power of two.
    """

    def __init__(self, *, address: int, words: int):
        if type(words) is not int or words < 2 or words & (words - 1):
            raise TypeError(f"words must be a power of two, not {words!r}")
        if type(address) is not int or not 0 <= address <= (1 << ADDRESS_BITS) - WORD_BITS // 8 * words:
            raise TypeError(f"{words} words at {address!r} are not inside a chip of {1 << ADDRESS_BITS} bytes")
        self._address, self._words = address, words
        bus = bus_signature((words - 1).bit_length())
        super().__init__({"pins": Out(flash_signature()), "bus": Out(bus), "done": Out(1)})

    def elaborate(self, platform):
        m = Module()
        pins, bus = self.pins, self.bus
        # What is still to be said to the chip, the next bit highest; what it has answered, the last bit lowest.
        saying, heard = Signal(8 + ADDRESS_BITS), Signal(WORD_BITS)
        left, rest, awake = Signal(range(WORD_BITS)), Signal(range(REST_CYCLES)), Signal()
        moves, last = Signal(), Signal()
        m.d.comb += [
            pins.command.eq(saying[-1]),
            last.eq(moves & pins.clock & (left == 0)),
            bus.mask.eq(-1),
            bus.data.eq(Cat(heard.word_select(byte, 8) for byte in reversed(range(WORD_BITS // 8)))),
        ]
        m.d.sync += pins.clock.eq(moves & ~pins.clock)
        with m.If(moves & pins.clock):
            m.d.sync += [saying.eq(saying << 1), heard.eq(Cat(pins.answer, heard)), left.eq(left - 1)]
        with m.FSM():
            with m.State("REST"):
                m.d.sync += [
                    rest.eq(rest + 1),
                    saying.eq(Cat(C(self._address, ADDRESS_BITS), Mux(awake, READ, WAKE))),
                    left.eq(Mux(awake, WORD_BITS, 8) - 1),
                ]
                with m.If(rest == REST_CYCLES - 1):
                    m.next = "SAY"
            with m.State("SAY"):
                m.d.comb += [pins.select.eq(1), moves.eq(1)]
                with m.If(last):
                    m.d.sync += awake.eq(1)
                    m.next = "REST"
                    with m.If(awake):
                        m.next = "HEAR"
            with m.State("HEAR"):
                m.d.comb += [pins.select.eq(1), moves.eq(1)]
                with m.If(last):
                    m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += [pins.select.eq(1), bus.valid.eq(1)]
                with m.If(bus.ready):
                    m.d.sync += bus.address.eq(bus.address + 1)
                    m.next = "HEAR"
                    with m.If(bus.address == self._words - 1):
                        m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.done.eq(1)
        return m
