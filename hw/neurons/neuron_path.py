"""From currents to spikes: bias, residual stream and neurons, one pipeline behind the lanes."""

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.attention.popcount import popcount
from hw.beats import (
    TARGET,
    address_shape,
    current_layout,
    currents_layout,
    pass_shape,
    route_fields,
    routed_layout,
    spikes_layout,
    stream_layout,
    write_layout,
)
from hw.config import STREAM_BITS, HardwareConfig
from hw.memory.memory import block_memory, read_block
from hw.neurons.adders import add_joined
from hw.neurons.lif import LifArray
from hw.neurons.pipeline import hold, stages
from hw.program import Target, params_layout


def is_target(target: Value, *choices: Target) -> Value:
    """Whether a target is one of the choices."""
    return Cat(target == choice for choice in choices).any()


class StreamLane(wiring.Component):
    """One channel: adds the bias, updates the residual stream, and chooses what the neuron sees.

    ``x = current + bias``, ``new = sat16((old or 0) + (x << shift))``. The neuron sees ``new`` when the old stream is
    added, and ``x`` when it is not. Lowering proves that ``x`` fits ``current_bits``, and where there is a ``new``, its
    sum before it is clamped too.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    enables : In(latency), one bit a stage: the stage takes what the one before it holds (stage 0: the inputs)
    currents : In([timesteps] signed(current_bits)), units of the channel's weight scale
    params : In({bias, threshold, shift}), of the channel
    old : In([timesteps] signed(16)), the stream so far, units of the channel's stream scale
    add : In(1), add to the stream; else start from 0
    chosen : Out([timesteps] signed(current_bits)), currents for the neuron
    threshold : Out(signed(current_bits)), of the neuron
    new : Out([timesteps] signed(16)), the stream from now on
    clamped : Out(timesteps), where ``new`` was clamped

    **Latency**: ``latency = 4`` cycles: bias, sum, and two to clamp. **Throughput**: one train a cycle.
    """

    latency = 4

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "enables": In(self.latency),
                "currents": In(currents_layout(config).elem_shape),
                "params": In(params_layout(config).elem_shape),
                "old": In(stream_layout(config).elem_shape),
                "add": In(1),
                "chosen": Out(currents_layout(config).elem_shape),
                "threshold": Out(signed(config.current_bits)),
                "new": Out(stream_layout(config).elem_shape),
                "clamped": Out(config.timesteps),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits = self.config.current_bits
        add = hold(m, self.add, self.enables[:2])
        shift = hold(m, self.params.shift, self.enables[:1])
        m.d.comb += self.threshold.eq(hold(m, self.params.threshold, self.enables))
        take, sum_up, *_ = self.enables
        biased = add_joined(m, [(current, self.params.bias) for current in self.currents], unused=~take)
        biased = [hold(m, x, take) for x in biased]
        shifted = [(x << shift)[:bits].as_signed() for x in biased]
        olds = [hold(m, Mux(self.add, old, 0), take) for old in self.old]
        totals = add_joined(m, list(zip(shifted, olds, strict=True)), unused=~sum_up)
        for step, (x, total) in enumerate(zip(biased, totals, strict=True)):
            total, x = hold(m, total, sum_up), hold(m, x, sum_up)

            excess, sign = total[STREAM_BITS - 1 :], total[-1]
            over, under = Signal(), Signal()
            m.d.comb += [over.eq(~sign & excess.any()), under.eq(sign & ~excess.all())]
            chosen = Mux(add, total, x)
            m.d.comb += [
                self.new[step].eq(self._clamp(m, total[:STREAM_BITS], over, under)),
                self.chosen[step].eq(self._clamp(m, chosen, add & over, add & under)),
                self.clamped[step].eq(hold(m, over | under, self.enables[2:])),
            ]
        return m

    def _clamp(self, m: Module, value: Value, over: Value, under: Value) -> Value:
        """The last two stages: the ends of the stream's range where a value is beyond them."""
        # The set and the reset of flip-flops take no logic, but a flip-flop has only one of them.
        under = hold(m, under, self.enables[2:3])
        low, high = value[: STREAM_BITS - 1], value[STREAM_BITS - 1 :]
        low_ones, high_ones = (1 << len(low)) - 1, (1 << len(high)) - 1
        low = hold(m, Mux(over, low_ones, low), self.enables[2:3], init=low_ones)
        high = hold(m, Mux(over, 0, high), self.enables[2:3])
        low = hold(m, Mux(under, 0, low), self.enables[3:])
        high = hold(m, Mux(under, high_ones, high), self.enables[3:], init=high_ones)
        return Cat(low, high)


class NeuronPath(wiring.Component):
    """Turns beats of currents into spikes, updates of the residual stream and logits.

    What becomes of a beat is its target (`hw.program.Target`): STREAM_OPEN, STREAM_ADD and STREAM_CLOSE write the
    stream, all but STREAM_CLOSE, LOGITS and NONE fire the neurons, LOGITS leaves with its bias added. The memories of
    parameters and stream are outside; their data arrives in the cycle after the address.

    Where there is more than one pass, the neurons of a beat start from the membranes at its ``state`` (in pass 0: from
    0) and leave theirs there.

    Two beats of the stream with one address are at least ``write_latency`` cycles apart, or in different layers; two
    beats that fire with one state at least `state_spacing`.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    i : In(stream(current_layout)), currents in units of the channel's weight scale
    output_base : In(address), beat at which the output map begins; constant while busy
    last_pass : In(pass), the pass in which ``step_mask`` counts; constant while busy
    step_mask : In(timesteps), timesteps of that pass that the model has; constant while busy
    params_address, params_data : read port of the parameter memories
    params_mixed : Out(1), the data is wanted of the memory for `Target.MIX`; beside the data
    stream_address, stream_data : read port of the residual stream memory
    stream_read : Out(1), the stream is read at its address
    stream_write : Out(stream({address, data})), the new stream, signed 16 bits, units of the stream scale
    saturations : Out(range(beat_channels * timesteps + 1)), values that this write clamped; else 0
    spikes : Out(stream(routed_layout)), with an absolute address
    mixed : Out(1), ``spikes`` is of the mixing unit
    query, key : Out(stream(routed_layout)), aggregated queries and keys, with the address of the input
    logits : Out(stream({address, data})), currents
    busy : Out(1), beats are inside or enter in this cycle

    Spikes at timesteps outside ``step_mask`` are 0.

    **Latency**: ``write_latency = 7`` cycles from ``i`` to ``stream_write`` and ``logits``; ``latency = 8 +
    LifArray.latency`` to ``spikes``, ``query`` and ``key``. **Throughput**: one beat a cycle, without back-pressure.
    """

    write_latency = 3 + StreamLane.latency

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        self._lif = LifArray(
            channels=config.beat_channels,
            timesteps=config.timesteps,
            current_bits=config.current_bits,
            carried=config.passes > 1,
        )
        self.latency = self.write_latency + self._lif.latency + 1
        routed = stream.Signature(routed_layout(config), always_ready=True)
        super().__init__(
            {
                "i": In(stream.Signature(current_layout(config), always_ready=True)),
                "output_base": In(address_shape(config)),
                "last_pass": In(pass_shape(config)),
                "step_mask": In(config.timesteps),
                "params_address": Out(range(config.param_depth)),
                "params_data": In(params_layout(config)),
                "params_mixed": Out(1),
                "stream_address": Out(range(config.stream_depth)),
                "stream_data": In(stream_layout(config)),
                "stream_read": Out(1),
                "stream_write": Out(stream.Signature(write_layout(config, stream_layout(config)), always_ready=True)),
                "saturations": Out(range(config.beat_channels * config.timesteps + 1)),
                "spikes": Out(routed),
                "mixed": Out(1),
                "query": Out(routed),
                "key": Out(routed),
                "logits": Out(stream.Signature(write_layout(config, currents_layout(config)), always_ready=True)),
                "busy": Out(1),
            }
        )

    @staticmethod
    def state_spacing(config: HardwareConfig) -> int:
        """The least distance, in cycles, of two beats that fire with one ``state``; 1 where nothing is carried."""
        # The state is read two cycles before the neurons take it and written when they are done.
        return 2 * config.timesteps + 3 if config.passes > 1 else 1

    def elaborate(self, platform):
        m = Module()
        m.submodules.lif = self._lif
        enables, filled = stages(m, self.i.valid, self.latency)
        # Many send, from far away: a cycle for the way and the choice.
        arrived = hold(m, self.i.p, enables[:1])
        m.d.comb += [
            self.busy.eq(self.i.valid | filled.any()),
            self.params_address.eq(arrived.params),
            self.stream_address.eq(arrived.address),
            self.stream_read.eq(filled[0] & is_target(arrived.target, Target.STREAM_ADD, Target.STREAM_CLOSE)),
        ]
        # What accompanies a beat through the pipeline.
        fields = route_fields(self.config)
        tag = Signal(data.StructLayout({"target": TARGET, "steps": self.config.timesteps} | fields))
        partial = arrived.pass_number == self.last_pass
        m.d.comb += [
            *(tag[field].eq(arrived[field]) for field in ("target", *fields)),
            tag.steps.eq(self.step_mask | (~partial).replicate(self.config.timesteps)),
        ]
        read = hold(m, tag, enables[1 : self.write_latency - 2])
        written = hold(m, read, enables[self.write_latency - 2 : self.write_latency])
        left = hold(m, written, enables[self.write_latency : -2])

        clamped = self._update(m, arrived, enables[1 : self.write_latency])
        self._write(m, written, filled[self.write_latency - 1], clamped)
        last = self._fire(m, left, enables[-2:])
        if self.config.passes > 1:
            self._carry(m, read, last, enables[self.write_latency - 2 : self.write_latency])
        return m

    def _update(self, m: Module, arrived: data.View, enables: Value) -> Value:
        """Fetch what the beat needs, and compute the new stream and the currents of the neurons; return which values
        were clamped."""
        currents = hold(m, arrived.currents, enables[:2])
        target = hold(m, arrived.target, enables[:1])
        m.d.comb += self.params_mixed.eq(target == Target.MIX)
        target = hold(m, target, enables[1:2])
        # The memories' outputs get a register of their own: block RAM is slow enough without an adder behind it.
        params = hold(m, self.params_data, enables[1:2])
        old = hold(m, self.stream_data, enables[1:2])
        clamped = []
        for channel in range(self.config.beat_channels):
            m.submodules[f"lane_{channel}"] = lane = StreamLane(config=self.config)
            clamped.append(lane.clamped)
            m.d.comb += [
                lane.enables.eq(enables[2:]),
                lane.add.eq(is_target(target, Target.STREAM_ADD, Target.STREAM_CLOSE)),
                lane.currents.eq(currents[channel]),
                lane.params.eq(params[channel]),
                lane.old.eq(old[channel]),
                self.stream_write.p.data[channel].eq(lane.new),
                self.logits.p.data[channel].eq(lane.chosen),
                self._lif.i.p.currents[channel].eq(lane.chosen),
                self._lif.i.p.thresholds[channel].eq(lane.threshold),
            ]
        return Cat(clamped)

    def _write(self, m: Module, tag: data.View, valid: Value, clamped: Value):
        """Send a beat to the stream, the logits and the neurons, whichever its target wants."""
        opened_or_added = is_target(tag.target, Target.STREAM_OPEN, Target.STREAM_ADD)
        fires = is_target(tag.target, Target.SPIKES, Target.QUERY, Target.KEY, Target.MIX)
        steps = tag.steps.replicate(self.config.beat_channels)
        with m.If(self.stream_write.valid):
            m.d.comb += self.saturations.eq(popcount(clamped & steps))
        m.d.comb += [
            self.stream_write.p.address.eq(tag.address),
            self.stream_write.valid.eq(valid & (opened_or_added | (tag.target == Target.STREAM_CLOSE))),
            self.logits.p.address.eq(tag.address),
            self.logits.valid.eq(valid & (tag.target == Target.LOGITS)),
            self._lif.i.valid.eq(valid & (opened_or_added | fires)),
        ]

    def _carry(self, m: Module, read: data.View, last: data.View, enables: Value):
        """Fetch the membranes that a train starts from, and store those that it ends with."""
        m.submodules.states = states = block_memory(shape=self._lif.after.shape(), depth=self.config.state_depth)
        sink = states.write_port()
        stored = read_block(m, states, address=read.state, enable=enables[0])
        starts = hold(m, read.pass_number == 0, enables[:1])
        before = hold(m, Mux(starts, 0, stored.as_value()), enables[1:])
        m.d.comb += [
            self._lif.i.p.before.as_value().eq(before),
            sink.addr.eq(last.state),
            sink.data.eq(self._lif.after),
            sink.en.eq(self._lif.o.valid),
        ]

    def _fire(self, m: Module, tag: data.View, enables: Value) -> data.View:
        """Send the spikes and their address, registered, where the target wants them; return the tag beside the
        neurons' output."""
        base = hold(m, Mux(tag.target == Target.MIX, 0, self.output_base), enables[:1])
        last = hold(m, tag, enables[:1])
        spikes = Signal(spikes_layout(self.config))
        m.d.comb += [spikes[i].eq(pattern & last.steps) for i, pattern in enumerate(self._lif.o.p)]
        spikes = hold(m, spikes, enables[1:])
        address = hold(m, (base + last.address)[: len(base)], enables[1:])
        route, fields = hold(m, last, enables[1:]), route_fields(self.config)
        writes = is_target(last.target, Target.SPIKES, Target.STREAM_OPEN, Target.STREAM_ADD, Target.MIX)
        m.d.sync += [
            self.spikes.valid.eq(enables[1] & writes),
            self.mixed.eq(enables[1] & (last.target == Target.MIX)),
            self.query.valid.eq(enables[1] & (last.target == Target.QUERY)),
            self.key.valid.eq(enables[1] & (last.target == Target.KEY)),
        ]
        for port in (self.spikes, self.query, self.key):
            m.d.comb += [port.p.data.eq(spikes), *(port.p[field].eq(route[field]) for field in fields)]
        m.d.comb += self.spikes.p.address.eq(address)
        return last
