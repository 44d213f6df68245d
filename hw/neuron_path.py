"""From currents to spikes: bias, residual stream and neurons, one pipeline behind the lanes."""

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import (
    CHANNEL,
    TARGET,
    current_layout,
    currents_layout,
    key_layout,
    spikes_layout,
    stream_layout,
    write_layout,
)
from hw.config import STREAM_BITS, HardwareConfig
from hw.lif import LifArray
from hw.pipeline import hold, stages
from hw.program import ADDRESS, Target, params_layout

TAG = data.StructLayout({"target": TARGET, "address": ADDRESS, "channel": CHANNEL, "first": 1, "last": 1})
"""What accompanies a beat through the pipeline; the fields are those of `current_layout`."""


def is_target(target: Value, *choices: Target) -> Value:
    """Whether a target is one of the choices."""
    return Cat(target == choice for choice in choices).any()


class StreamLane(wiring.Component):
    """One channel: adds the bias, updates the residual stream, and chooses what the neuron sees.

    ``x = current + bias``, ``new = sat16((old or 0) + (x << shift))``. The neuron sees ``new`` when the old stream is
    added, and ``x`` when it is not.

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
    step_mask : In(timesteps), timesteps of the model
    chosen : Out([timesteps] signed(current_bits)), currents for the neuron
    threshold : Out(signed(current_bits)), of the neuron
    new : Out([timesteps] signed(16)), the stream from now on
    clamped : Out(range(timesteps + 1)), timesteps of the model at which ``new`` was clamped

    **Latency**: ``latency = 3`` cycles: bias, sum, clamp. **Throughput**: one train a cycle.
    """

    latency = 3

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "enables": In(self.latency),
                "currents": In(currents_layout(config).elem_shape),
                "params": In(params_layout(config).elem_shape),
                "old": In(stream_layout(config).elem_shape),
                "add": In(1),
                "step_mask": In(config.timesteps),
                "chosen": Out(currents_layout(config).elem_shape),
                "threshold": Out(signed(config.current_bits)),
                "new": Out(stream_layout(config).elem_shape),
                "clamped": Out(range(config.timesteps + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        add = hold(m, self.add, self.enables[:2])
        shift = hold(m, self.params.shift, self.enables[:1])
        clamped = Signal(self.config.timesteps)
        count = Signal.like(self.clamped)
        m.d.comb += [
            count.eq(sum(clamped & self.step_mask)),
            self.clamped.eq(hold(m, count, self.enables[2:])),
            self.threshold.eq(hold(m, self.params.threshold, self.enables)),
        ]
        for step, current in enumerate(self.currents):
            # Lowering proves that a current with its bias fits the width of currents.
            x = (current + self.params.bias)[: self.config.current_bits].as_signed()
            x = hold(m, x, self.enables[:1])
            old = hold(m, Mux(self.add, self.old[step], 0), self.enables[:1])
            total = hold(m, old + (x << shift), self.enables[1:2])
            x = hold(m, x, self.enables[1:2])

            excess = total[STREAM_BITS - 1 :]
            limit = Cat((~total[-1]).replicate(STREAM_BITS - 1), total[-1])
            new = Signal(signed(STREAM_BITS))
            m.d.comb += [
                clamped[step].eq(excess.any() & ~excess.all()),
                new.eq(Mux(clamped[step], limit, total)),
                self.new[step].eq(hold(m, new, self.enables[2:])),
                self.chosen[step].eq(hold(m, Mux(add, new, x), self.enables[2:])),
            ]
        return m


class NeuronPath(wiring.Component):
    """Turns beats of currents into spikes, updates of the residual stream and logits.

    What becomes of a beat is its target (`hw.program.Target`): STREAM_OPEN, STREAM_ADD and STREAM_CLOSE write the
    stream, all targets from SPIKES to KEY but STREAM_CLOSE fire the neurons, LOGITS leaves with its bias added. The
    memories are outside; their data arrives in the cycle after the address.

    A beat of the stream must not be written again before it has been written: two beats with one address are
    `write_latency + 1` cycles apart, or in different layers.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    i : In(stream(current_layout)), currents in units of the channel's weight scale
    output_base : In(ADDRESS), beat at which the output map begins; constant while busy
    step_mask : In(timesteps), timesteps of the model; constant while busy
    params_address, params_data : read port of the parameter memory
    stream_address, stream_data : read port of the residual stream memory
    stream_read : Out(1), the stream is read at its address
    stream_write : Out(stream({address, data})), the new stream, signed 16 bits, units of the stream scale
    saturations : Out(range(beat_channels * timesteps + 1)), values that this write clamped; else 0
    spikes : Out(stream({address, data})), absolute beat in spike memory
    query : Out(stream({address, data})), aggregated queries
    key : Out(stream(key_layout)), aggregated keys
    logits : Out(stream({address, data})), currents
    busy : Out(1), beats are inside or enter in this cycle

    Spikes at timesteps outside ``step_mask`` are 0.

    **Latency**: ``write_latency = 5`` cycles from ``i`` to ``stream_write`` and ``logits``; ``latency = 5 +
    2 * timesteps`` to ``spikes``, ``query`` and ``key``. **Throughput**: one beat a cycle, without back-pressure.
    """

    write_latency = 2 + StreamLane.latency

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        self.latency = self.write_latency + 2 * config.timesteps
        spikes = write_layout(spikes_layout(config))
        super().__init__(
            {
                "i": In(stream.Signature(current_layout(config), always_ready=True)),
                "output_base": In(ADDRESS),
                "step_mask": In(config.timesteps),
                "params_address": Out(range(config.param_depth)),
                "params_data": In(params_layout(config)),
                "stream_address": Out(range(config.stream_depth)),
                "stream_data": In(stream_layout(config)),
                "stream_read": Out(1),
                "stream_write": Out(stream.Signature(write_layout(stream_layout(config)), always_ready=True)),
                "saturations": Out(range(config.beat_channels * config.timesteps + 1)),
                "spikes": Out(stream.Signature(spikes, always_ready=True)),
                "query": Out(stream.Signature(spikes, always_ready=True)),
                "key": Out(stream.Signature(key_layout(config), always_ready=True)),
                "logits": Out(stream.Signature(write_layout(currents_layout(config)), always_ready=True)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        enables, filled = stages(m, self.i.valid, self.latency)
        m.d.comb += [
            self.busy.eq(self.i.valid | filled.any()),
            self.params_address.eq(self.i.p.params),
            self.stream_address.eq(self.i.p.address),
            self.stream_read.eq(self.i.valid & is_target(self.i.p.target, Target.STREAM_ADD, Target.STREAM_CLOSE)),
        ]
        tag = Signal(TAG)
        m.d.comb += [tag[field].eq(self.i.p[field]) for field, _ in TAG]
        written = hold(m, tag, enables[: self.write_latency])
        last = hold(m, written, enables[self.write_latency : -1])

        m.submodules.lif = lif = LifArray(
            channels=self.config.beat_channels,
            timesteps=self.config.timesteps,
            current_bits=self.config.current_bits,
        )
        self._update(m, enables[: self.write_latency], lif)
        self._write(m, written, filled[self.write_latency - 1], lif)
        self._fire(m, last, enables[-1:], filled[-1], lif)
        return m

    def _update(self, m: Module, enables: Value, lif: LifArray):
        """Fetch what the beat needs, and compute the new stream and the currents of the neurons."""
        fetched = hold(m, self.i.p, enables[:2])
        # The memories' outputs get a register of their own: block RAM is slow enough without an adder behind it.
        params = hold(m, self.params_data, enables[1:2])
        old = hold(m, self.stream_data, enables[1:2])
        clamped = []
        for channel in range(self.config.beat_channels):
            m.submodules[f"lane_{channel}"] = lane = StreamLane(config=self.config)
            clamped.append(lane.clamped)
            m.d.comb += [
                lane.enables.eq(enables[2:]),
                lane.add.eq(is_target(fetched.target, Target.STREAM_ADD, Target.STREAM_CLOSE)),
                lane.step_mask.eq(self.step_mask),
                lane.currents.eq(fetched.currents[channel]),
                lane.params.eq(params[channel]),
                lane.old.eq(old[channel]),
                self.stream_write.p.data[channel].eq(lane.new),
                self.logits.p.data[channel].eq(lane.chosen),
                lif.i.p.currents[channel].eq(lane.chosen),
                lif.i.p.thresholds[channel].eq(lane.threshold),
            ]
        with m.If(self.stream_write.valid):
            m.d.comb += self.saturations.eq(sum(clamped))

    def _write(self, m: Module, tag: data.View, valid: Value, lif: LifArray):
        """Send a beat to the stream, the logits and the neurons, whichever its target wants."""
        opened_or_added = is_target(tag.target, Target.STREAM_OPEN, Target.STREAM_ADD)
        fires = is_target(tag.target, Target.SPIKES, Target.QUERY, Target.KEY)
        m.d.comb += [
            self.stream_write.p.address.eq(tag.address),
            self.stream_write.valid.eq(valid & (opened_or_added | (tag.target == Target.STREAM_CLOSE))),
            self.logits.p.address.eq(tag.address),
            self.logits.valid.eq(valid & (tag.target == Target.LOGITS)),
            lif.i.valid.eq(valid & (opened_or_added | fires)),
        ]

    def _fire(self, m: Module, tag: data.View, enables: Value, valid: Value, lif: LifArray):
        """Register the spikes and their address, and send them where the target wants them."""
        spikes = Signal(spikes_layout(self.config))
        m.d.comb += [spikes[i].eq(pattern & self.step_mask) for i, pattern in enumerate(lif.o.p)]
        spikes = hold(m, spikes, enables)
        address = hold(m, (self.output_base + tag.address)[: ADDRESS.width], enables)
        tag = hold(m, tag, enables)
        m.d.comb += [
            self.spikes.p.address.eq(address),
            self.spikes.valid.eq(valid & is_target(tag.target, Target.SPIKES, Target.STREAM_OPEN, Target.STREAM_ADD)),
            self.query.p.address.eq(tag.address),
            self.query.valid.eq(valid & (tag.target == Target.QUERY)),
            self.key.valid.eq(valid & (tag.target == Target.KEY)),
            *(self.key.p[field].eq(tag[field]) for field in ("address", "channel", "first", "last")),
            *(port.p.data.eq(spikes) for port in (self.spikes, self.query, self.key)),
        ]
