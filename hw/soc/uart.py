"""The serial line: bytes with one start bit, eight data bits, lowest first, and one stop bit (8N1)."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

FRAME_BITS = 10
"""Start bit, data bits, stop bit."""


class Sender(wiring.Component):
    """Puts bytes on a line.

    Parameters
    ----------
    divisor : cycles of a bit, at least 4

    Members
    -------
    i : In(stream(8))
    line : Out(1), 1 at rest

    **Latency**: two cycles from a byte to its start bit. **Throughput**: a byte in ``10 * divisor + 1`` cycles.

    Raises TypeError for a divisor that is not an integer of at least 4.
    """

    def __init__(self, *, divisor: int):
        self._divisor = _checked(divisor)
        super().__init__({"i": In(stream.Signature(8)), "line": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        # The bits that are left, the one on the line lowest; ones follow them.
        frame, left = Signal(FRAME_BITS, init=-1), Signal(range(FRAME_BITS + 1))
        wait, elapsed = Signal(range(self._divisor)), Signal()
        m.d.comb += [elapsed.eq(wait == self._divisor - 1), self.i.ready.eq(left == 0)]
        m.d.sync += [self.line.eq(frame[0]), wait.eq(Mux(elapsed | self.i.ready, 0, wait + 1))]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [frame.eq(Cat(0, self.i.payload, 1)), left.eq(FRAME_BITS)]
        with m.Elif(elapsed & ~self.i.ready):
            m.d.sync += [frame.eq(Cat(frame[1:], 1)), left.eq(left - 1)]
        return m


class Receiver(wiring.Component):
    """Takes bytes from a line: every bit is looked at once, in its middle.

    A byte whose stop bit is 0 is dropped. While the line stays 0 after it (a *break*), nothing is received.

    Parameters
    ----------
    divisor : cycles of a bit, at least 4

    Members
    -------
    line : In(1), from outside, 1 at rest
    o : Out(stream(8), always ready)
    wrong : Out(1), a byte has been dropped
    pause : Out(1), the line has been 0 for a break: 16 bits or longer, until it is 1 again

    **Latency**: a byte leaves in the middle of its stop bit, three cycles for the way from the line later.
    **Throughput**: a byte in ``10 * divisor`` cycles, give or take 4 % of the rate.

    Raises TypeError for a divisor that is not an integer of at least 4.
    """

    break_bits = 16

    def __init__(self, *, divisor: int):
        self._divisor = _checked(divisor)
        super().__init__(
            {"line": In(1), "o": Out(stream.Signature(8, always_ready=True)), "wrong": Out(1), "pause": Out(1)}
        )

    def elaborate(self, platform):
        m = Module()
        line = Signal(init=1)
        m.submodules.synchroniser = FFSynchronizer(self.line, line, init=1)
        wait, left = Signal(range(self._divisor)), Signal(range(FRAME_BITS))
        bits, sample = Signal(8), Signal()
        m.d.comb += sample.eq(wait == 0)
        m.d.sync += [self.o.valid.eq(0), self.wrong.eq(0), wait.eq(Mux(sample, self._divisor - 1, wait - 1))]
        with m.FSM():
            with m.State("rest"):
                m.d.sync += [wait.eq(self._divisor // 2 - 1), left.eq(FRAME_BITS - 1)]
                with m.If(~line):
                    m.next = "bits"
            with m.State("bits"):
                with m.If(sample):
                    m.d.sync += [bits.eq(Cat(bits[1:], line)), left.eq(left - 1)]
                    with m.If((left == FRAME_BITS - 1) & line):
                        # A start bit that is over so soon is none.
                        m.next = "rest"
                    with m.If(left == 0):
                        m.d.sync += [self.o.valid.eq(line), self.o.payload.eq(bits), self.wrong.eq(~line)]
                        m.next = "end"
            with m.State("end"):
                with m.If(line):
                    m.next = "rest"
        self._watch(m, line)
        return m

    def _watch(self, m: Module, line: Signal):
        """Find a break."""
        cycles = self.break_bits * self._divisor
        low = Signal(range(cycles + 1))
        m.d.comb += self.pause.eq(low == cycles)
        m.d.sync += low.eq(Mux(line, 0, Mux(self.pause, low, low + 1)))


def _checked(divisor: int) -> int:
    if type(divisor) is not int or divisor < 4:
        raise TypeError(f"divisor must be an integer of at least 4, not {divisor!r}")
    return divisor
