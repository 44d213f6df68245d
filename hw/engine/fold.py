"""What a position summed, and how the positions of a tile combine."""

from dataclasses import dataclass
from itertools import zip_longest

from amaranth import Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.beats import currents_layout, sums_layout
from hw.config import HardwareConfig
from hw.neurons.pipeline import delay
from hw.program import Fold

FOLD_CYCLES = 3
"""Cycles from a beat to what it is folded into, and until the same beat may come again."""


def beat_shape(config: HardwareConfig) -> range:
    """The number of a beat within its group."""
    return range(max(2, config.group_beats))


def bit_plane_cycles(config: HardwareConfig) -> int:
    """Latency of `BitPlanes`: a cycle for every level of its adders."""
    return max(1, (config.timesteps - 1).bit_length())


class Difference(wiring.Component):
    """The difference of every beat to what the same beat was at the previous position, modulo ``2**acc_bits``.

    Members
    -------
    fresh : In(1), compare with zero
    valid : In(1), beat : In, sums : In(`hw.beats.sums_layout`)
    values : Out(`hw.beats.sums_layout`)

    Latency: two cycles. Throughput: one beat a cycle.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "fresh": In(1),
                "valid": In(1),
                "beat": In(beat_shape(config)),
                "sums": In(sums_layout(config)),
                "values": Out(sums_layout(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        layout = sums_layout(self.config)
        m.submodules.memory = memory = Memory(shape=layout.size, depth=len(beat_shape(self.config)), init=[])
        write_port, read_port = memory.write_port(), memory.read_port(domain="comb")
        sums, previous = Signal(layout, reset_less=True), Signal(layout, reset_less=True)
        m.d.comb += [
            write_port.addr.eq(self.beat),
            write_port.data.eq(self.sums.as_value()),
            write_port.en.eq(self.valid),
            read_port.addr.eq(self.beat),
        ]
        m.d.sync += [sums.eq(self.sums), previous.as_value().eq(Mux(self.fresh, 0, read_port.data))]
        for channel in range(self.config.beat_channels):
            for step in range(self.config.timesteps):
                m.d.sync += self.values[channel][step].eq(sums[channel][step] - previous[channel][step])
        return m


class BitPlanes(wiring.Component):
    """The weighted sum of bit-planes, ``sum over t of sums[t] << t``, in place of the first timestep.

    With ``enable`` low the sums pass unchanged, widened to currents; the timesteps after the first always do.

    Members
    -------
    enable : In(1), for the beat that leaves in the next cycle
    sums : In(`hw.beats.sums_layout`)
    values : Out(`hw.beats.currents_layout`)

    Latency: `bit_plane_cycles`. Throughput: one beat a cycle.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {"enable": In(1), "sums": In(sums_layout(config)), "values": Out(currents_layout(config))},
        )

    def elaborate(self, platform):
        m = Module()
        levels = bit_plane_cycles(self.config)
        for sums, values in zip(self.sums, self.values, strict=True):
            plain = [delay(m, value, levels - 1) for value in sums]
            m.d.sync += values[0].eq(Mux(self.enable, self._planes(m, sums, levels), plain[0]))
            for value, result in zip(plain[1:], list(values)[1:], strict=True):
                m.d.sync += result.eq(value)
        return m

    def _planes(self, m, sums, levels):
        """The weighted sum, with a register between two levels of adders."""
        terms = list(sums)
        for level in range(levels):
            terms = [delay(m, term, min(level, 1)) for term in terms]
            pairs = zip_longest(terms[::2], terms[1::2])
            terms = [low if high is None else low + (high << (1 << level)) for low, high in pairs]
        return terms[0]


@dataclass(frozen=True, kw_only=True)
class _Control:
    """What all values of a beat do, stage by stage."""

    larger: Value  # keep the larger value
    forget: Value  # there is no old value
    double: Value  # the old value moves up by one bit
    planes: Value  # the old value moves up by one pattern
    compares: Value  # one cycle later: keep the larger value
    direct: Value  # one cycle later: the values go out themselves
    direct_later: Value  # two cycles later


class FoldStore(wiring.Component):
    """Combines the currents of the positions of a tile, beat by beat.

    With a stored value ``old`` and a new one, MAX, SUM, COUNTS and BITS give ``max(old, new)``, ``old + new``,
    ``2 * old + new`` and ``(old << timesteps) + new``; BITS looks at the first timestep only and gives its result for
    all of them. The values of the other timesteps, and of all for MAX, fit ``acc_bits``.

    Members
    -------
    op : In(`hw.program.Fold`)
    valid : In(1), beat : In, values : In(`hw.beats.currents_layout`), fold this beat in
    first : In(1), forget what was stored
    recall : In(1), give the stored beat instead, and leave it
    direct : In(1), give the values themselves as the result; they are folded all the same
    result : Out(`hw.beats.currents_layout`), the folded beat

    Latency: three cycles. Throughput: one beat a cycle; the same beat may come again after three cycles.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "op": In(Fold),
                "valid": In(1),
                "first": In(1),
                "recall": In(1),
                "direct": In(1),
                "beat": In(beat_shape(config)),
                "values": In(currents_layout(config)),
                "result": Out(currents_layout(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        layout = currents_layout(self.config)
        m.submodules.memory = memory = Memory(shape=layout.size, depth=len(beat_shape(self.config)), init=[])
        write_port, read_port = memory.write_port(), memory.read_port(domain="comb")
        stored, folded = Signal(layout), Signal(layout)
        m.d.comb += [
            read_port.addr.eq(self.beat),
            stored.as_value().eq(read_port.data),
            write_port.addr.eq(delay(m, self.beat, FOLD_CYCLES - 1)),
            write_port.data.eq(folded.as_value()),
            write_port.en.eq(delay(m, self.valid & ~self.recall, FOLD_CYCLES - 1)),
        ]
        control = self._control(m)
        for channel in range(self.config.beat_channels):
            folds = []
            for step in range(self.config.timesteps):
                signals = [signal[channel][step] for signal in (self.values, stored, folded)]
                folds.append(self._fold(m, control, *signals, first_step=step == 0))
            for result, (total, direct) in zip(self.result[channel], folds, strict=True):
                m.d.comb += result.eq(Mux(self.op == Fold.BITS, folds[0][0] | folds[0][1], total | direct))
        return m

    def _control(self, m):
        larger = Signal()
        m.d.comb += larger.eq((self.op == Fold.MAX) & ~self.first & ~self.recall)
        return _Control(
            larger=larger,
            compares=delay(m, larger, 1),
            forget=self.first & ~self.recall,
            double=(self.op == Fold.COUNTS) & ~self.recall,
            planes=(self.op == Fold.BITS) & ~self.recall,
            direct=delay(m, self.direct, 1),
            direct_later=delay(m, self.direct, 2),
        )

    def _fold(self, m, control, values, stored, folded, *, first_step):
        """Fold one value; return the result, zero where the values go out directly, and these, or zero."""
        acc_bits = self.config.acc_bits
        value = values if first_step else values[:acc_bits].as_signed()
        moved = Mux(control.double, stored << 1, stored)
        if first_step:
            moved = Mux(control.planes, stored << self.config.timesteps, moved)
        new = Signal(value.shape(), reset_less=True)
        old, compared = Signal.like(values, reset_less=True), Signal(signed(acc_bits), reset_less=True)
        # Registers that are cleared take the place of multiplexers: old + max(0, new - old) is the larger of the two.
        m.d.sync += [
            new.eq(Mux(self.recall, 0, value)),
            old.eq(Mux(control.forget, 0, moved)),
            compared.eq(Mux(control.larger, stored, 0)),
        ]
        gain = new - compared
        added = Signal(gain.shape(), reset_less=True)
        beside = Signal(new.shape(), reset_less=True)
        m.d.sync += [
            added.eq(Mux(control.compares & (gain < 0), 0, gain)),
            beside.eq(Mux(control.direct, new, 0)),
        ]
        m.d.comb += folded.eq(delay(m, old, 1) + added)
        total = Signal.like(values, reset_less=True)
        m.d.sync += total.eq(Mux(control.direct_later, 0, folded))
        return total, delay(m, beside, 1)
