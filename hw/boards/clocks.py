"""Clocks of boards: from an oscillator to the frequency of the SoC."""

from dataclasses import dataclass

from amaranth import Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.errors import SaformerError


@dataclass(frozen=True, kw_only=True)
class Ecp5Ratio:
    """Dividers of an ECP5 PLL whose output is fed back: ``out = in * feedback / reference``, and the oscillator runs at
    ``out * output``."""

    reference: int
    feedback: int
    output: int

    @property
    def middle(self) -> int:
        """Cycles of the oscillator before an output with a phase of 0: half its period, as the vendor's tool has it."""
        return self.output // 2 - 1

    def phase(self, degrees: int) -> tuple[int, int]:
        """Return the cycles of the oscillator, and the eighths of one, before an output that is late."""
        cycles, eighths = divmod(round(8 * self.output * degrees / 360), 8)
        return self.middle + cycles, eighths


OSCILLATOR_MHZ = (400, 800)
"""Range of the oscillator of an ECP5 PLL (Lattice FPGA-DS-02012, table of the sysCLOCK PLL)."""

REFERENCE_MHZ = 3.125
"""Lowest frequency at its phase detector (the same)."""


def ecp5_ratio(source: int, target: int) -> Ecp5Ratio:
    """Return the dividers that make ``target`` hertz of ``source``, with the fastest comparison.

    Raises SaformerError where there are none.
    """
    for reference in range(1, int(source / (REFERENCE_MHZ * 1e6)) + 1):
        feedback, rest = divmod(target * reference, source)
        output = int(OSCILLATOR_MHZ[1] * 1e6 // target)
        in_range = OSCILLATOR_MHZ[0] * 1e6 <= target * output
        if rest == 0 and 1 <= feedback <= 80 and 1 <= output <= 128 and in_range:
            return Ecp5Ratio(reference=reference, feedback=feedback, output=output)
    raise SaformerError(f"no PLL setting makes {target / 1e6:g} MHz of {source / 1e6:g} MHz: choose another frequency")


class Ecp5Pll(wiring.Component):
    """The PLL of an ECP5.

    Parameters
    ----------
    source, target : hertz of the oscillator and of the clock
    shift : degrees by which a second clock of the same frequency is late, or None without one

    Members
    -------
    i : In(1), the oscillator
    o : Out(1), the clock
    shifted : Out(1), the second one
    locked : Out(1), they are stable

    Raises SaformerError where the PLL cannot make that frequency.
    """

    def __init__(self, *, source: int, target: int, shift: int | None = None):
        self._ratio, self._shift = ecp5_ratio(source, target), shift
        super().__init__({"i": In(1), "o": Out(1), "shifted": Out(1), "locked": Out(1)})

    def elaborate(self, platform):
        m, ratio, clock = Module(), self._ratio, Signal()
        m.d.comb += self.o.eq(clock)
        m.submodules.pll = Instance(
            "EHXPLLL",
            p_CLKI_DIV=ratio.reference,
            p_CLKFB_DIV=ratio.feedback,
            p_CLKOP_DIV=ratio.output,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_CPHASE=ratio.middle,
            p_CLKOP_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            i_CLKI=self.i,
            i_CLKFB=clock,
            i_RST=Const(0),
            i_STDBY=Const(0),
            o_CLKOP=clock,
            o_LOCK=self.locked,
            **({} if self._shift is None else self._second()),
        )
        return m

    def _second(self) -> dict:
        """Output, divider and phase of the second clock."""
        cycles, eighths = self._ratio.phase(self._shift)
        return {
            "p_CLKOS_DIV": self._ratio.output,
            "p_CLKOS_ENABLE": "ENABLED",
            "p_CLKOS_CPHASE": cycles,
            "p_CLKOS_FPHASE": eighths,
            "o_CLKOS": self.shifted,
        }


class Oscillator(wiring.Component):
    """The oscillator itself as clock.

    Parameters
    ----------
    source, target : hertz of the oscillator and of the clock

    Members
    -------
    i : In(1), the oscillator
    o : Out(1), the clock
    locked : Out(1), always

    Raises SaformerError for another frequency than the oscillator's.
    """

    def __init__(self, *, source: int, target: int):
        if source != target:
            raise SaformerError(
                f"this board's clock is its oscillator: {target / 1e6:g} MHz cannot be made of {source / 1e6:g} MHz"
            )
        super().__init__({"i": In(1), "o": Out(1), "locked": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.o.eq(self.i), self.locked.eq(1)]
        return m
