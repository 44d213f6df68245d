"""The head's pooling: sums of the residual stream over the tokens."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import current_layout, currents_layout, stream_layout
from hw.config import HardwareConfig
from hw.pipeline import hold, stages
from hw.program import Target


class StreamPool(wiring.Component):
    """Reads the residual stream channel beat by channel beat and sends the sums over the tokens to the neurons.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    start : In(1), begin; ignored while busy
    busy : Out(1), from the cycle after ``start`` to the one in which the last sum leaves
    tokens : In(20), positions, at least 1; constant while busy, like the following
    channel_beats : In(16), beats of one position, at least 1
    params : In(16), first beat of the neurons' parameters
    stream_address, stream_data : read port of the residual stream memory, whose data arrives in the next cycle
    stream_read : Out(1), the stream is read at its address
    o : Out(stream(current_layout)), sums for SPIKES, signed(current_bits), units of the channel's stream scale;
        ``address`` and ``channel`` are the channel beat, ``params`` counts up with it

    **Latency**: the sum of a channel beat leaves 3 cycles after its last read. **Throughput**: one read a cycle;
    ``busy`` lasts ``tokens * channel_beats + 3`` cycles.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "busy": Out(1),
                "tokens": In(20),
                "channel_beats": In(16),
                "params": In(16),
                "stream_address": Out(range(config.stream_depth)),
                "stream_data": In(stream_layout(config)),
                "stream_read": Out(1),
                "o": Out(stream.Signature(current_layout(config), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        token = Signal.like(self.tokens)
        beat = Signal.like(self.channel_beats)
        first_token = token == 0
        last_token = token == self.tokens - 1
        last_beat = beat == self.channel_beats - 1
        with m.If(self.stream_read):
            m.d.sync += [token.eq(token + 1), self.stream_address.eq(self.stream_address + self.channel_beats)]
            with m.If(last_token):
                m.d.sync += [token.eq(0), beat.eq(beat + 1), self.stream_address.eq(beat + 1)]
                with m.If(last_beat):
                    m.d.sync += self.stream_read.eq(0)
        with m.Elif(self.start & ~self.busy):
            m.d.sync += [self.stream_read.eq(1), self.stream_address.eq(0), token.eq(0), beat.eq(0)]

        # Stages: the memory, a register behind it, the sums.
        reads, filled = stages(m, self.stream_read, 3)
        m.d.comb += self.busy.eq(self.stream_read | filled.any())
        values = hold(m, self.stream_data, reads[1:2])
        restart = hold(m, first_token, reads[:2])
        sums = Signal(currents_layout(self.config))
        with m.If(reads[2]):
            for row, train in zip(sums, values, strict=True):
                m.d.sync += [total.eq(Mux(restart, 0, total) + value) for total, value in zip(row, train, strict=True)]

        channel = hold(m, beat, reads)
        m.d.comb += [
            self.o.valid.eq(filled[2] & hold(m, last_token, reads)),
            self.o.p.currents.eq(sums),
            self.o.p.target.eq(Target.SPIKES),
            self.o.p.params.eq(self.params + channel),
            self.o.p.address.eq(channel),
            self.o.p.channel.eq(channel),
        ]
        return m
