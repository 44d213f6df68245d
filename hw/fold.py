"""What a position summed, and how the positions of a tile combine."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hw.beats import currents_layout, sums_layout
from hw.config import HardwareConfig
from hw.program import Fold


def _beat_shape(config: HardwareConfig) -> range:
    return range(max(2, config.group_beats))


class Difference(wiring.Component):
    """The difference of every beat to what the same beat was at the previous position, modulo ``2**acc_bits``.

    Members
    -------
    clear : In(1), the next value of every beat is compared with zero
    valid : In(1), beat : In, sums : In(`hw.beats.sums_layout`)
    values : Out(`hw.beats.sums_layout`)

    Latency: one cycle. Throughput: one beat a cycle.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "clear": In(1),
                "valid": In(1),
                "beat": In(_beat_shape(config)),
                "sums": In(sums_layout(config)),
                "values": Out(sums_layout(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        depth = len(_beat_shape(self.config))
        m.submodules.memory = memory = Memory(shape=self.sums.as_value().shape(), depth=depth, init=[])
        write_port = memory.write_port()
        read_port = memory.read_port(domain="comb")
        known = Signal(depth)
        previous = Signal(sums_layout(self.config))
        m.d.comb += [
            write_port.addr.eq(self.beat),
            write_port.data.eq(self.sums.as_value()),
            write_port.en.eq(self.valid),
            read_port.addr.eq(self.beat),
            previous.as_value().eq(Mux(known.bit_select(self.beat, 1), read_port.data, 0)),
        ]
        with m.If(self.valid):
            m.d.sync += known.bit_select(self.beat, 1).eq(1)
        with m.If(self.clear):
            m.d.sync += known.eq(0)
        for channel in range(self.config.beat_channels):
            for step in range(self.config.timesteps):
                m.d.sync += self.values[channel][step].eq(self.sums[channel][step] - previous[channel][step])
        return m


class BitPlanes(wiring.Component):
    """The weighted sum of bit-planes: ``sum over t of sums[t] << t``, the same for every timestep.

    With ``enable`` low the sums pass unchanged, widened to currents.

    Members
    -------
    enable : In(1)
    sums : In(`hw.beats.sums_layout`)
    values : Out(`hw.beats.currents_layout`)

    Latency: one cycle. Throughput: one beat a cycle.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {"enable": In(1), "sums": In(sums_layout(config)), "values": Out(currents_layout(config))},
        )

    def elaborate(self, platform):
        m = Module()
        for sums, values in zip(self.sums, self.values, strict=True):
            planes = sum(value << step for step, value in enumerate(sums))
            for value, result in zip(sums, values, strict=True):
                m.d.sync += result.eq(Mux(self.enable, planes, value))
        return m


class FoldStore(wiring.Component):
    """Combines the currents of the positions of a tile, beat by beat.

    Members
    -------
    op : In(`hw.program.Fold`); BITS: the stored value moves up by one pattern width before the next one is added
    valid : In(1), first : In(1) the position is the first of its tile, beat : In, values : In
    read_beat : In, result : Out, the folded beat, combinationally

    Latency: a folded beat can be read one cycle after its last value. Throughput: one beat a cycle.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "op": In(Fold),
                "valid": In(1),
                "first": In(1),
                "beat": In(_beat_shape(config)),
                "values": In(currents_layout(config)),
                "read_beat": In(_beat_shape(config)),
                "result": Out(currents_layout(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        layout = currents_layout(self.config)
        memory = Memory(shape=layout.size, depth=len(_beat_shape(self.config)), init=[])
        m.submodules.memory = memory
        write_port = memory.write_port()
        stored_port, result_port = memory.read_port(domain="comb"), memory.read_port(domain="comb")
        stored, folded = Signal(layout), Signal(layout)
        m.d.comb += [
            stored_port.addr.eq(self.beat),
            stored.as_value().eq(stored_port.data),
            result_port.addr.eq(self.read_beat),
            self.result.as_value().eq(result_port.data),
            write_port.addr.eq(self.beat),
            write_port.data.eq(folded.as_value()),
            write_port.en.eq(self.valid),
        ]
        for channel in range(self.config.beat_channels):
            for step in range(self.config.timesteps):
                old, new = stored[channel][step], self.values[channel][step]
                result = folded[channel][step]
                with m.Switch(self.op):
                    with m.Case(Fold.MAX):
                        m.d.comb += result.eq(Mux(old > new, old, new))
                    with m.Case(Fold.SUM):
                        m.d.comb += result.eq(old + new)
                    with m.Default():
                        m.d.comb += result.eq((old << self.config.timesteps) + new)
                with m.If(self.first):
                    m.d.comb += result.eq(new)
        return m
