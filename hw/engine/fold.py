"""What a position summed, and how the positions of a tile combine."""

from dataclasses import dataclass
from itertools import zip_longest

from amaranth import Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.beats import beat_shape, currents_layout, sums_layout
from hw.config import HardwareConfig
from hw.memory.memory import block_memory, read_block
from hw.neurons.pipeline import delay
from hw.program import Fold

FOLD_CYCLES = 4
"""Cycles from a beat to what it is folded into, and until the same beat may come again."""


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

    Latency: two cycles. Throughput: one beat a cycle; the same beat may come again after two cycles.
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
        m.submodules.memory = memory = block_memory(shape=layout, depth=len(beat_shape(self.config)))
        write_port = memory.write_port()
        sums = delay(m, self.sums, 1)
        previous = read_block(m, memory, address=self.beat, clear=self.fresh)
        # Written when the beat before has been read.
        m.d.comb += [
            write_port.addr.eq(delay(m, self.beat, 1)),
            write_port.data.eq(sums),
            write_port.en.eq(delay(m, self.valid, 1)),
        ]
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

    recall: Value  # give the old value, without a new one
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

    Latency: four cycles. Throughput: one beat a cycle; the same beat may come again after four cycles.
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
        m.submodules.memory = memory = block_memory(shape=layout, depth=len(beat_shape(self.config)))
        write_port, folded = memory.write_port(), Signal(layout)
        stored, values = read_block(m, memory, address=self.beat), delay(m, self.values, 1)
        m.d.comb += [
            write_port.addr.eq(delay(m, self.beat, FOLD_CYCLES - 1)),
            write_port.data.eq(folded),
            write_port.en.eq(delay(m, self.valid & ~self.recall, FOLD_CYCLES - 1)),
        ]
        control = self._control(m)
        for channel in range(self.config.beat_channels):
            folds = []
            for step in range(self.config.timesteps):
                signals = [signal[channel][step] for signal in (values, stored, folded)]
                folds.append(self._fold(m, control, *signals, first_step=step == 0))
            for result, (total, direct) in zip(self.result[channel], folds, strict=True):
                m.d.comb += result.eq(Mux(self.op == Fold.BITS, folds[0][0] | folds[0][1], total | direct))
        return m

    def _control(self, m):
        first, recall, larger = Signal(), Signal(), Signal()
        m.d.sync += [first.eq(self.first & ~self.recall), recall.eq(self.recall)]
        m.d.sync += larger.eq((self.op == Fold.MAX) & ~self.first & ~self.recall)
        return _Control(
            recall=recall,
            larger=larger,
            compares=delay(m, larger, 1),
            forget=first,
            double=(self.op == Fold.COUNTS) & ~recall,
            planes=(self.op == Fold.BITS) & ~recall,
            direct=delay(m, self.direct, 2),
            direct_later=delay(m, self.direct, 3),
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
            new.eq(Mux(control.recall, 0, value)),
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
