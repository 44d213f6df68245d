"""The neurons: leaky integrate and fire, with the timesteps unrolled in a pipeline."""

from amaranth import Module, Mux, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.config import Reset
from hw.neurons.pipeline import hold, stages


class Neuron(wiring.Component):
    """One channel: ``v = (v + x) >> 1``, ``s = v >= threshold``, reset where ``s``.

    A timestep takes two stages, an adder and a comparator, so that no cycle has both. The first one has nothing to add
    to where trains start from ``v = 0``, and takes one. There are no guard bits: the mean of two numbers is not wider
    than they are.

    Parameters
    ----------
    timesteps : length of a train
    current_bits : width of currents, of the threshold and of the membrane
    reset : what a spike does to the membrane. A soft reset wants a threshold of zero or more (or the membrane can leave
        its range).
    carried : whether a train starts from a given membrane and tells where it ends; else it starts from 0

    Members
    -------
    enables : In(latency), one bit a stage: the stage takes what the one before it holds (stage 0: the inputs)
    currents : In([timesteps] signed(current_bits)), units of the channel's weight scale
    threshold : In(signed(current_bits)), the same units
    spikes : Out(timesteps), held until the last stage is enabled again
    before : In(signed(current_bits)), the membrane that the train starts from, the same units; only where carried
    after : Out(signed(current_bits)), the membrane that it ends with, beside ``spikes``; only where carried

    **Latency**: ``2 * timesteps - 1`` cycles, one more where carried. **Throughput**: one train a cycle.
    """

    def __init__(self, *, timesteps: int, current_bits: int, reset: Reset = Reset.HARD, carried: bool = False):
        self.reset = Reset(reset)
        self.carried = carried
        self.latency = 2 * timesteps - (not carried)
        current = signed(current_bits)
        membranes = {"before": In(current), "after": Out(current)}
        super().__init__(
            {
                "enables": In(self.latency),
                "currents": In(data.ArrayLayout(current, timesteps)),
                "threshold": In(current),
                "spikes": Out(timesteps),
            }
            | (membranes if carried else {})
        )

    def elaborate(self, platform):
        m = Module()

        def carry(value, start, stop):
            """Carry a value from the input of stage `start` to the input of stage `stop`."""
            return hold(m, value, self.enables[start:stop])

        threshold = self.threshold
        left = self.before if self.carried else 0
        for step, current in enumerate(self.currents):
            compare = 2 * step + self.carried
            add = max(compare - 1, 0)
            total = left + carry(current, 0, add)
            membrane = carry(total.shift_right(1), add, compare)
            threshold = carry(threshold, add, compare)
            spike = membrane >= threshold
            m.d.comb += self.spikes[step].eq(carry(spike, compare, self.latency))
            if self.carried or compare + 1 < self.latency:
                rest = (membrane - threshold)[: len(current)].as_signed() if self.reset is Reset.SOFT else 0
                # A hard reset here, and not before the next adder, is the reset of the flip-flops and takes no logic.
                left = carry(Mux(spike, rest, membrane), compare, compare + 1)
                threshold = carry(threshold, compare, compare + 1)
        if self.carried:
            m.d.comb += self.after.eq(left)
        return m


class LifArray(wiring.Component):
    """A beat of neurons, fed by a stream.

    Parameters
    ----------
    channels : neurons side by side
    timesteps : length of a train
    current_bits : width of currents, thresholds and membranes
    reset : what a spike does to the membrane, see `Neuron`
    carried : whether a train starts from a given membrane and tells where it ends; else it starts from 0

    Members
    -------
    i : In(stream({currents: [channels][timesteps] signed(current_bits), thresholds: [channels] signed(current_bits)}));
        where carried also ``before: [channels] signed(current_bits)``, the membranes to start from
    o : Out(stream([channels] unsigned(timesteps))), spikes; bit t is timestep t
    after : Out([channels] signed(current_bits)), the membranes at the end of the train that ``o`` shows; only where
        carried
    busy : Out(1), trains are inside, up to and including the cycle that they leave in

    **Latency**: ``latency = 2 * timesteps - 1`` cycles, one more where carried. **Throughput**: one beat a cycle,
    without back-pressure.

    Raises TypeError for a size that is not a positive integer, ValueError for an unknown reset.
    """

    def __init__(
        self,
        *,
        channels: int,
        timesteps: int,
        current_bits: int,
        reset: Reset = Reset.HARD,
        carried: bool = False,
    ):
        for name, value in {"channels": channels, "timesteps": timesteps, "current_bits": current_bits}.items():
            if type(value) is not int or value < 1:
                raise TypeError(f"{name} must be a positive integer, not {value!r}")
        self.channels = channels
        self.carried = carried
        self._neurons = [
            Neuron(timesteps=timesteps, current_bits=current_bits, reset=reset, carried=carried)
            for _ in range(channels)
        ]
        self.latency = self._neurons[0].latency
        current = signed(current_bits)
        membranes = data.ArrayLayout(current, channels)
        currents = data.ArrayLayout(data.ArrayLayout(current, timesteps), channels)
        beat = {"currents": currents, "thresholds": membranes} | ({"before": membranes} if carried else {})
        spikes = data.ArrayLayout(unsigned(timesteps), channels)
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout(beat), always_ready=True)),
                "o": Out(stream.Signature(spikes, always_ready=True)),
                "busy": Out(1),
            }
            | ({"after": Out(membranes)} if carried else {})
        )

    def elaborate(self, platform):
        m = Module()
        enables, filled = stages(m, self.i.valid, self.latency)
        m.d.comb += [self.o.valid.eq(filled[-1]), self.busy.eq(filled.any())]
        for channel, neuron in enumerate(self._neurons):
            m.submodules[f"neuron_{channel}"] = neuron
            m.d.comb += [
                neuron.enables.eq(enables),
                neuron.currents.eq(self.i.p.currents[channel]),
                neuron.threshold.eq(self.i.p.thresholds[channel]),
                self.o.p[channel].eq(neuron.spikes),
            ]
            if self.carried:
                m.d.comb += [neuron.before.eq(self.i.p.before[channel]), self.after[channel].eq(neuron.after)]
        return m
