"""The lanes: one weight row a cycle into the sums of all output channels and timesteps."""

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import event_layout, sums_layout
from hw.config import HardwareConfig
from hw.program import DESCRIPTOR, weights_layout


class LaneArray(wiring.Component):
    """Adds the weight row of every event to the sums of the timesteps in its pattern.

    Lane ``c`` holds one accumulator a timestep, enabled by its bit of the pattern. The accumulators run free, modulo
    ``2**acc_bits``: they are never cleared between positions, which would put a multiplexer in front of every adder.
    At the last event of a position a copy is taken, which leaves in beats while the next position accumulates; what
    the position summed is the difference between two copies (`hw.drain.Drain` takes it).

    Members
    -------
    clear : In(1), set the accumulators to zero; between layers
    events : In(stream of `hw.beats.event_layout`)
    weight_enable : Out(1), weight_address : Out, weight_data : In, weight memory, data one cycle after the address and
        until the next read
    beats : In, how many beats of the copy leave; of the next copy, one cycle after the last of them has left
    sums : Out(stream of `hw.beats.sums_layout`), the copies, beat by beat from channel 0

    Latency: three cycles from the last event of a position to its first beat, if the copy before has left by then.
    Throughput: one event a cycle, as long as a position lasts at least ``beats`` cycles; the lanes stand still while a
    position is complete and the copy of the one before has not left.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "clear": In(1),
                "events": In(stream.Signature(event_layout(config))),
                "weight_enable": Out(1),
                "weight_address": Out(range(config.weight_depth)),
                "weight_data": In(weights_layout(config)),
                "beats": In(DESCRIPTOR["last_beats"]),
                "sums": Out(stream.Signature(sums_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        event = self.events.payload
        taken = self.events.valid & self.events.ready
        # What was taken one and two cycles ago: its weights are here, its sums are complete.
        pattern = Signal(self.config.timesteps)
        last, complete = Signal(), Signal()
        beat = Signal(self.beats.shape())
        final, blocked = Signal(), Signal()
        m.d.comb += [
            final.eq(self.sums.valid & self.sums.ready & (beat == self.beats - 1)),
            blocked.eq(complete & self.sums.valid & ~final),
            self.events.ready.eq(~blocked),
            self.weight_enable.eq(taken & event.pattern.any()),
            self.weight_address.eq(event.row),
        ]
        with m.If(~blocked):
            m.d.sync += [last.eq(taken & event.last), complete.eq(last), pattern.eq(0)]
        with m.If(taken):
            m.d.sync += pattern.eq(event.pattern)

        lanes = data.ArrayLayout(
            data.ArrayLayout(sums_layout(self.config).elem_shape.elem_shape, len(pattern)), self.config.lanes
        )
        sums, copy = Signal(lanes), Signal(lanes)
        for lane in range(self.config.lanes):
            for step, enable in enumerate(pattern):
                with m.If(self.clear):
                    m.d.sync += sums[lane][step].eq(0)
                with m.Elif(enable & ~blocked):
                    m.d.sync += sums[lane][step].eq(sums[lane][step] + self.weight_data[lane])

        width = sums_layout(self.config).size
        m.d.comb += self.sums.payload.as_value().eq(copy.as_value()[:width])
        with m.If(self.sums.valid & self.sums.ready):
            m.d.sync += [beat.eq(beat + 1), copy.as_value().eq(copy.as_value() >> width)]
        with m.If(final):
            m.d.sync += [beat.eq(0), self.sums.valid.eq(0)]
        with m.If(complete & ~blocked):
            m.d.sync += [self.sums.valid.eq(1), copy.eq(sums)]
        return m
