"""The neurons: leaky integrate and fire, with the timesteps unrolled in a pipeline."""

from amaranth import Module, Mux, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.config import Reset
from hw.pipeline import hold, stages


class Neuron(wiring.Component):
    """One channel: ``v = (v + x) >> 1``, ``s = v >= threshold``, reset where ``s``, from ``v = 0`` on.

    A timestep takes two stages, an adder and a comparator, so that no cycle has both; the first timestep has nothing to
    add to and takes one. There are no guard bits: the mean of two numbers is not wider than they are.

    Parameters
    ----------
    timesteps : length of a train
    current_bits : width of currents and of the threshold
    reset : what a spike does to the membrane. A soft reset wants a threshold of zero or more (or the membrane can leave
        its range) and puts two adders in one cycle.

    Members
    -------
    enables : In(latency), one bit a stage: the stage takes what the one before it holds (stage 0: the inputs)
    currents : In([timesteps] signed(current_bits)), units of the channel's weight scale
    threshold : In(signed(current_bits)), the same units
    spikes : Out(timesteps), held until the last stage is enabled again

    **Latency**: ``2 * timesteps - 1`` cycles. **Throughput**: one train a cycle.
    """

    def __init__(self, *, timesteps: int, current_bits: int, reset: Reset = Reset.HARD):
        self.reset = Reset(reset)
        self.latency = 2 * timesteps - 1
        super().__init__(
            {
                "enables": In(self.latency),
                "currents": In(data.ArrayLayout(signed(current_bits), timesteps)),
                "threshold": In(signed(current_bits)),
                "spikes": Out(timesteps),
            }
        )

    def elaborate(self, platform):
        m = Module()

        def carry(value, start, stop):
            """Carry a value from the input of stage `start` to the input of stage `stop`."""
            return hold(m, value, self.enables[start:stop])

        threshold = self.threshold
        left = 0
        for step, current in enumerate(self.currents):
            compare = 2 * step
            add = max(compare - 1, 0)
            total = left + carry(current, 0, add)
            membrane = carry(total.shift_right(1), add, compare)
            threshold = carry(threshold, add, compare)
            spike = carry(membrane >= threshold, compare, compare + 1)
            m.d.comb += self.spikes[step].eq(carry(spike, compare + 1, self.latency))
            if compare + 1 < self.latency:
                membrane = carry(membrane, compare, compare + 1)
                threshold = carry(threshold, compare, compare + 1)
                left = Mux(spike, membrane - threshold if self.reset is Reset.SOFT else 0, membrane)
        return m


class LifArray(wiring.Component):
    """A beat of neurons, fed by a stream.

    Parameters
    ----------
    channels : neurons side by side
    timesteps : length of a train
    current_bits : width of currents and thresholds
    reset : what a spike does to the membrane, see `Neuron`

    Members
    -------
    i : In(stream({currents: [channels][timesteps] signed(current_bits), thresholds: [channels] signed(current_bits)}))
    o : Out(stream([channels] unsigned(timesteps))), spikes; bit t is timestep t
    busy : Out(1), trains are inside, up to and including the cycle that they leave in

    **Latency**: ``latency = 2 * timesteps - 1`` cycles. **Throughput**: one beat a cycle, without back-pressure.

    Raises TypeError for a size that is not a positive integer, ValueError for an unknown reset.
    """

    def __init__(self, *, channels: int, timesteps: int, current_bits: int, reset: Reset = Reset.HARD):
        for name, value in {"channels": channels, "timesteps": timesteps, "current_bits": current_bits}.items():
            if type(value) is not int or value < 1:
                raise TypeError(f"{name} must be a positive integer, not {value!r}")
        self.channels = channels
        self.timesteps = timesteps
        self.current_bits = current_bits
        self.reset = Reset(reset)
        self.latency = 2 * timesteps - 1
        current = signed(current_bits)
        beat = data.StructLayout(
            {
                "currents": data.ArrayLayout(data.ArrayLayout(current, timesteps), channels),
                "thresholds": data.ArrayLayout(current, channels),
            }
        )
        spikes = data.ArrayLayout(unsigned(timesteps), channels)
        super().__init__(
            {
                "i": In(stream.Signature(beat, always_ready=True)),
                "o": Out(stream.Signature(spikes, always_ready=True)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        enables, filled = stages(m, self.i.valid, self.latency)
        m.d.comb += [self.o.valid.eq(filled[-1]), self.busy.eq(filled.any())]
        for channel in range(self.channels):
            neuron = Neuron(timesteps=self.timesteps, current_bits=self.current_bits, reset=self.reset)
            m.submodules[f"neuron_{channel}"] = neuron
            m.d.comb += [
                neuron.enables.eq(enables),
                neuron.currents.eq(self.i.p.currents[channel]),
                neuron.threshold.eq(self.i.p.thresholds[channel]),
                self.o.p[channel].eq(neuron.spikes),
            ]
        return m
