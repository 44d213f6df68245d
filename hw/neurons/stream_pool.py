"""The head's pooling: sums of the residual stream over the tokens."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import address_shape, current_layout, currents_layout, pass_shape, stream_layout
from hw.config import HardwareConfig
from hw.neurons.pipeline import hold, stages
from hw.program import DESCRIPTOR_LAYOUT, Target


class StreamPool(wiring.Component):
    """Reads the residual stream and sends the sums over the tokens to the neurons, pass by pass, beat by beat.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    layer : In, the descriptor; constant while busy. The stream is ``last_pass + 1`` planes, ``stream_pass`` beats
        apart, of ``tokens`` positions of ``output_beats`` channel beats
    start : In(1), begin; ignored while busy
    hold : In(1), do not begin another pass: the neurons are busy
    busy : Out(1), from the cycle after ``start`` to the one in which the last sum leaves
    stream_address, stream_data : read port of the residual stream memory, whose data arrives in the next cycle
    stream_read : Out(1), the stream is read at its address
    o : Out(stream(current_layout)), sums for SPIKES, signed(current_bits), units of the channel's stream scale;
        ``channel`` and ``state`` are the channel beat, ``params`` counts up with it from ``position_params``, and
        ``address`` counts on from pass to pass

    **Latency**: the sum of a channel beat leaves 3 cycles after its last read. **Throughput**: ``tokens + 1`` cycles a
    channel beat. A pass takes 3 cycles more, until its last sum has left, and the next one begins in the cycle after
    the first one without ``hold``; ``busy`` lasts ``output_beats * (tokens + 1) + 2`` cycles when there is one pass.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "layer": In(DESCRIPTOR_LAYOUT),
                "start": In(1),
                "hold": In(1),
                "busy": Out(1),
                "stream_address": Out(range(config.stream_depth)),
                "stream_data": In(stream_layout(config)),
                "stream_read": Out(1),
                "o": Out(stream.Signature(current_layout(config), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # A channel beat is its reads and one cycle to close it, in which the sums leave and are cleared.
        active, closing = Signal(), Signal()
        channel, pass_number = Signal(address_shape(self.config)), Signal(pass_shape(self.config))
        enables, filled = stages(m, active, 2)
        m.d.comb += [
            self.stream_read.eq(active & ~closing),
            self.busy.eq(active | filled.any() | (pass_number != 0)),
        ]
        self._walk(m, active, closing, channel, pass_number, ~filled.any())
        self._send(m, enables, filled, closing, channel, pass_number)
        return m

    def _walk(self, m, active, closing, channel, pass_number, drained):
        """Go over tokens, channel beats and passes."""
        layer, address = self.layer, self.stream_address
        token, plane = Signal(range(self.config.stream_depth + 1)), Signal(len(address))
        following = channel + 1
        m.d.comb += closing.eq(token == layer.tokens)
        with m.If(active):
            m.d.sync += [token.eq(token + 1), address.eq(address + layer.output_beats)]
            with m.If(closing):
                m.d.sync += [token.eq(0), channel.eq(following), address.eq(plane + following)]
                with m.If(following == layer.output_beats):
                    m.d.sync += [active.eq(0), channel.eq(0)]
                    self._end_pass(m, pass_number, plane)
        with m.Elif(pass_number != 0):
            with m.If(drained & ~self.hold):
                m.d.sync += [active.eq(1), address.eq(plane)]
        with m.Elif(self.start & ~self.busy):
            m.d.sync += [active.eq(1), address.eq(0), plane.eq(0)]

    def _end_pass(self, m, pass_number, plane):
        """Go to the next pass, if there is one."""
        if self.config.passes > 1:
            m.d.sync += [pass_number.eq(pass_number + 1), plane.eq(plane + self.layer.stream_pass)]
            with m.If(pass_number == self.layer.last_pass):
                m.d.sync += pass_number.eq(0)

    def _send(self, m, enables, filled, closing, channel, pass_number):
        """Add what was read, and send the sums of a channel beat when it is closed."""
        # Stages: the memory, a register behind it, the sums.
        values = hold(m, self.stream_data, enables[1:])
        closed = hold(m, closing, enables)
        sums = Signal(currents_layout(self.config))
        address = Signal.like(channel)
        with m.If(filled[-1]):
            for row, train in zip(sums, values, strict=True):
                m.d.sync += [total.eq(total + value) for total, value in zip(row, train, strict=True)]
        with m.If(self.o.valid):
            m.d.sync += [sums.as_value().eq(0), address.eq(address + 1)]
        with m.If(~self.busy):
            m.d.sync += address.eq(0)
        sent = hold(m, channel, enables)
        m.d.comb += [
            self.o.valid.eq(filled[-1] & closed),
            self.o.p.currents.eq(sums),
            self.o.p.target.eq(Target.SPIKES),
            self.o.p.params.eq(self.layer.position_params + sent),
            self.o.p.address.eq(address),
            self.o.p.channel.eq(sent),
            self.o.p.state.eq(sent),
            self.o.p.pass_number.eq(hold(m, pass_number, enables)),
        ]
