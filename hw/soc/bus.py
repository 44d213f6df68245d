"""The bus of the RISC-V core, and how it reaches one of several targets."""

from collections.abc import Mapping

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

WORD_BITS = 32

ADDRESS_BITS = 30
"""Width of the address of a word."""


def bus_signature(address_bits: int = ADDRESS_BITS) -> wiring.Signature:
    """A bus of 32-bit words, seen from who asks.

    A request (``valid``, and what belongs to it) stays as it is until a cycle with ``ready``, which ends it; a read has
    its ``answer`` in this cycle. ``mask`` says which bytes are written; a read has none. ``address`` counts words.
    """
    return wiring.Signature(
        {
            "valid": Out(1),
            "address": Out(address_bits),
            "mask": Out(WORD_BITS // 8),
            "data": Out(WORD_BITS),
            "ready": In(1),
            "answer": In(WORD_BITS),
        }
    )


def connect_words(m: Module, asks: wiring.PureInterface, target: wiring.PureInterface) -> None:
    """Connect the bus of who asks to one with fewer words, which begin again where they end."""
    m.d.comb += [target.address.eq(asks.address), asks.ready.eq(target.ready), asks.answer.eq(target.answer)]
    m.d.comb += [getattr(target, name).eq(getattr(asks, name)) for name in ("valid", "mask", "data")]


class BusDecoder(wiring.Component):
    """Sends every request to the target that its highest address bits name.

    Where there is no target a request ends at once, and a read gives 0.

    Parameters
    ----------
    targets : for each target what the ``select_bits`` highest bits of its addresses are
    select_bits : how many bits decide

    Members
    -------
    bus : In(`bus_signature`)
    one member for each target : Out(`bus_signature`), with the address bits that are left

    **Latency**: none, a request is there in the cycle in which it comes. **Throughput**: that of the target.

    Raises TypeError for a place that does not fit the bits that decide, or that two targets have.
    """

    def __init__(self, *, targets: Mapping[str, int], select_bits: int):
        places = list(targets.values())
        for name, place in targets.items():
            if place not in range(1 << select_bits):
                raise TypeError(f"the place of {name} must be a number of {select_bits} bits, not {place!r}")
            if places.count(place) > 1:
                raise TypeError(f"two targets have the place {place}")
        self._targets = dict(targets)
        self._select_bits = select_bits
        inner = bus_signature(ADDRESS_BITS - select_bits)
        super().__init__({"bus": In(bus_signature()), **{name: Out(inner) for name in targets}})

    def elaborate(self, platform):
        m = Module()
        place = Signal(self._select_bits)
        m.d.comb += place.eq(self.bus.address[-self._select_bits :])
        with m.Switch(place):
            for name, number in self._targets.items():
                target = getattr(self, name)
                m.d.comb += [
                    target.address.eq(self.bus.address),
                    target.mask.eq(self.bus.mask),
                    target.data.eq(self.bus.data),
                ]
                with m.Case(number):
                    m.d.comb += [
                        target.valid.eq(self.bus.valid),
                        self.bus.ready.eq(target.ready),
                        self.bus.answer.eq(target.answer),
                    ]
            with m.Default():
                m.d.comb += self.bus.ready.eq(1)
        return m
