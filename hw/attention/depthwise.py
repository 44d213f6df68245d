"""The mixing unit: depthwise convolution of the keys, and the mask of the attention."""

from amaranth import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.attention.line_buffer import NEIGHBOURS, LineBuffer
from hw.attention.mix_walk import MixWalk
from hw.attention.popcount import popcount
from hw.beats import address_shape, channel_shape, current_layout, currents_layout, pass_shape, spikes_layout
from hw.config import HardwareConfig
from hw.neurons.adders import add_joined
from hw.neurons.pipeline import delay, hold, stages
from hw.program import DESCRIPTOR_LAYOUT, Target, taps_layout

LATENCY = 6
"""Stages of the sums and of their counter, which have to agree."""

CENTRE = 4
"""The middle of a window in raster order."""


class TapLane(wiring.Component):
    """One channel: the taps of the neighbours that spike, and 1.0 where mask and key spike.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    enables : In(latency), one bit a stage: the stage takes what the one before it holds (stage 0: the inputs)
    window : In([9] unsigned(timesteps)), spikes of the channel around a position, anything outside the grid
    neighbours : In(NEIGHBOURS), which of them are inside
    mask : In(timesteps), spikes of the mask
    params : In({taps: [9] signed(8), one: signed(current_bits)}), of the channel, units of its weight scale
    currents : Out([timesteps] signed(current_bits)), the same units; lowering proves that they fit

    **Latency**: ``latency = 6`` cycles. **Throughput**: one position a cycle.
    """

    latency = LATENCY

    def __init__(self, *, config: HardwareConfig):
        self._bits = config.current_bits
        super().__init__(
            {
                "enables": In(self.latency),
                "window": In(data.ArrayLayout(unsigned(config.timesteps), 9)),
                "neighbours": In(NEIGHBOURS),
                "mask": In(config.timesteps),
                "params": In(taps_layout(config).elem_shape),
                "currents": Out(currents_layout(config).elem_shape),
            }
        )

    def elaborate(self, platform):
        m = Module()
        chosen, *levels, nine, total = self.enables
        # The centre and 1.0 are added last, and shared by the timesteps until then.
        spike, masked = self.window[CENTRE], self.mask & self.window[CENTRE]
        spike, tap = (hold(m, value, self.enables[:3]) for value in (spike, self.params.taps[CENTRE]))
        masked, one = (hold(m, value, self.enables[:4]) for value in (masked, self.params.one))
        inside = self._inside()
        # A tap without a spike is the reset of its flip-flops, and takes no logic. [tap][timestep]
        sums = [
            [hold(m, Mux(bit & near, self.params.taps[i], 0), chosen) for bit in self.window[i]]
            for i, near in inside.items()
        ]
        for level in levels:
            sums = [self._add(m, a, b, level) for a, b in zip(sums[::2], sums[1::2], strict=True)]
        centre = [hold(m, Mux(bit, tap, 0), self.enables[3]) for bit in spike]
        ones = [hold(m, Mux(bit, one, 0), self.enables[4]) for bit in masked]
        around = self._add(m, sums[0], centre, nine)
        for current, value in zip(self.currents, self._add(m, ones, around, total), strict=True):
            m.d.comb += current.eq(value[: self._bits].as_signed())
        return m

    def _add(self, m: Module, first: list[Value], second: list[Value], enable: Value) -> list[Value]:
        """Add the values of every timestep, and a register."""
        pairs = [(Cat(a, a[-1]).as_signed(), b) for a, b in zip(first, second, strict=True)]
        return [hold(m, value, enable) for value in add_joined(m, pairs, unused=~enable)]

    def _inside(self) -> dict[int, Value]:
        """Which positions of the window are inside the grid, without the centre."""
        near = self.neighbours
        vertical, horizontal = (near.north, None, near.south), (near.west, None, near.east)
        sides = {3 * row + col: (v, h) for row, v in enumerate(vertical) for col, h in enumerate(horizontal)}
        del sides[CENTRE]
        return {i: Cat(side for side in pair if side is not None).all() for i, pair in sides.items()}


class WorkCounter(wiring.Component):
    """Counts the accumulates that a beat of keys causes: one for each window that a spike lies in, and one where the
    mask spikes with it.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    enables : In(latency), one bit a stage: the stage takes what the one before it holds (stage 0: the inputs)
    keys, mask : In(spikes)
    neighbours : In(NEIGHBOURS), of the position; it lies in as many windows as it has neighbours, and in its own
    sops : Out(range(10 * P * T + 1))

    **Latency**: ``latency = 6`` cycles. **Throughput**: one beat a cycle.
    """

    latency = LATENCY

    def __init__(self, *, config: HardwareConfig):
        super().__init__(
            {
                "enables": In(self.latency),
                "keys": In(spikes_layout(config)),
                "mask": In(spikes_layout(config)),
                "neighbours": In(NEIGHBOURS),
                "sops": Out(range(10 * config.beat_channels * config.timesteps + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        inputs, across, down, *rest = self.enables
        keys, mask = self.keys.as_value(), self.mask.as_value()
        spikes = hold(m, popcount(keys), inputs)
        near = hold(m, self.neighbours, inputs)
        row = hold(m, spikes + Mux(near.west, spikes, 0) + Mux(near.east, spikes, 0), across)
        near = hold(m, near, across)
        grid = hold(m, row + Mux(near.north, row, 0) + Mux(near.south, row, 0), down)
        masked = hold(m, popcount(keys & mask), self.enables[:3])
        m.d.comb += self.sops.eq(hold(m, grid + masked, rest))
        return m


class MixUnit(wiring.Component):
    """Mixes the keys of a layer: ``y = dwc(K) + (one if M & K else 0)``, dwc 3x3 per channel with zero padding
    (eq. 16-17).

    It works in the background: each group of keys is mixed when it is complete, position by position in raster order,
    for each position pass by pass, for each pass beat by beat. It shares the spike memory and the neurons with the
    engine, and stands still while ``enable`` is 0. The memories are outside; data of taps and mask arrives in the cycle
    after the address and stays until they are enabled again, that of the spike memory two cycles after, for this cycle
    only.

    Parameters
    ----------
    config : sizes of the accelerator; grids are from 1x1 to ``max_width`` wide
    state_spacing : least cycles from one pass of a beat to the next, for the neurons behind

    Members
    -------
    layer : In, the descriptor of the layer that writes the keys; needed in the cycle of ``configure`` only
    configure : In(1), a pulse before its first group, not while busy
    group : In(1), a pulse: one more group of the layer is complete, keys and mask; at most as many as it has
    enable : In(1), go on
    busy : Out(1), a group is pending or in work, from the cycle after ``group`` up to and including that of the last
        current
    spike_enable, spike_address, spike_data : read port of the spike memory, by beats
    tap_enable, tap_address, tap_data : read port of the tap memory; data is `hw.program.taps_layout`
    mask_enable, mask_channel, mask_pass, mask_data : read port of the masks
    o : Out(stream(current_layout)), currents without bias for `Target.MIX`, units of the channel's weight scale; only
        while ``enable``
    sops : Out(range(10 * P * T + 1)), accumulates of the beat of keys at the position of ``o``, else 0

    Of the route, ``first``, ``open``, ``close``, ``tile`` and ``beat`` are 0.

    **Latency**: ``latency = 12`` cycles and ``width + 1`` positions from ``group`` to the first current.
    **Throughput**: one current a cycle. Each of the ``(width * (height + 1) + 1) * passes`` visits of a group takes as
    many cycles as the group has beats, but at least 2 and with several passes ``state_spacing``; a group after another
    one takes one cycle more. Only cycles with ``enable`` count.

    Raises TypeError for a spacing that is not a positive integer.
    """

    latency = 6 + LATENCY

    def __init__(self, *, config: HardwareConfig, state_spacing: int):
        self._config = config
        self._walk = MixWalk(config=config, state_spacing=state_spacing)
        super().__init__(
            {
                "layer": In(DESCRIPTOR_LAYOUT),
                "configure": In(1),
                "group": In(1),
                "enable": In(1),
                "busy": Out(1),
                "spike_enable": Out(1),
                "spike_address": Out(address_shape(config)),
                "spike_data": In(spikes_layout(config)),
                "tap_enable": Out(1),
                "tap_address": Out(range(config.tap_depth)),
                "tap_data": In(taps_layout(config)),
                "mask_enable": Out(1),
                "mask_channel": Out(channel_shape(config)),
                "mask_pass": Out(pass_shape(config)),
                "mask_data": In(spikes_layout(config)),
                "o": Out(stream.Signature(current_layout(config), always_ready=True)),
                "sops": Out(range(10 * config.beat_channels * config.timesteps + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = self._walk
        # Beats that are read, in two cycles, in the line buffer; then windows, in the pipeline of their sums.
        filled = Signal(4 + LATENCY)
        entering, enables = Signal.like(filled), Signal.like(filled)
        arrived = hold(m, walk.here, enables[:2])
        leaving = hold(m, arrived, enables[2:3])
        m.d.comb += [
            entering.eq(Cat(walk.valid, filled[:2], filled[2] & leaving.centre, filled[3:])),
            enables.eq(Mux(self.enable, entering, 0)),
            walk.layer.eq(self.layer),
            walk.configure.eq(self.configure),
            walk.group.eq(self.group),
            walk.enable.eq(self.enable),
            self.busy.eq(walk.busy | filled.any()),
            self.o.valid.eq(filled[-1] & self.enable),
        ]
        with m.If(self.enable):
            m.d.sync += filled.eq(entering)
        window = self._windows(m, arrived, enables[:3], filled[2] & self.enable)
        self._fetch(m, arrived, enables[1:])
        self._add(m, window, hold(m, leaving.neighbours, enables[3:4]), enables[1:])
        self._route(m, leaving, enables[1:])
        return m

    def _windows(self, m, arrived, enables, leave):
        """Read the keys, and send them through the line buffer."""
        walk, spikes = self._walk, spikes_layout(self._config)
        m.submodules.lines = lines = LineBuffer(
            shape=spikes,
            max_cells=self._config.group_beats * self._config.passes,
            max_width=self._config.max_width,
        )
        # The memory shows a beat for one cycle, which need not be one with `enable`: two places, for those that wait.
        place, kept = Signal(), Signal(data.ArrayLayout(spikes, 2), reset_less=True)
        with m.If(self.spike_enable):
            m.d.sync += place.eq(~place)
        _, reading = stages(m, self.spike_enable, 2)
        shown_place, wanted = delay(m, place, 2), hold(m, place, enables[:2])
        with m.If(reading[-1]):
            m.d.sync += kept[shown_place].eq(self.spike_data)
        fresh = reading[-1] & (shown_place == wanted)
        m.d.comb += [
            self.spike_enable.eq(self.enable & walk.valid & walk.here.read),
            self.spike_address.eq(walk.here.address),
            lines.enables.eq(Cat(enables[-1], leave)),
            lines.beat.eq(Mux(fresh, self.spike_data, Mux(wanted, kept[1], kept[0]))),
            lines.cell.eq(arrived.cell),
            lines.place.eq(arrived.place),
        ]
        return lines.window

    def _fetch(self, m, arrived, enables):
        """Read the mask and the taps of a window, to have them when it leaves the line buffer."""
        m.d.comb += [
            self.mask_enable.eq(enables[1]),
            self.mask_channel.eq(arrived.channel),
            self.mask_pass.eq(arrived.pass_number),
            self.tap_enable.eq(enables[2]),
            self.tap_address.eq(
                hold(m, (self._walk.fields.tap_base + arrived.channel)[: len(self.tap_address)], enables[1:2])
            ),
        ]

    def _add(self, m, window, neighbours, enables):
        """The pipeline from the windows to the currents, and the counter beside it."""
        mask = hold(m, self.mask_data, enables[2:3])
        m.submodules.work = work = WorkCounter(config=self._config)
        m.d.comb += [
            work.enables.eq(enables[3:]),
            work.keys.eq(window[CENTRE]),
            work.mask.eq(mask),
            work.neighbours.eq(neighbours),
            self.sops.eq(Mux(self.o.valid, work.sops, 0)),
        ]
        for channel in range(self._config.beat_channels):
            m.submodules[f"lane_{channel}"] = lane = TapLane(config=self._config)
            m.d.comb += [
                lane.enables.eq(enables[3:]),
                lane.window.eq(Cat(beat[channel] for beat in window)),
                lane.neighbours.eq(neighbours),
                lane.mask.eq(mask[channel]),
                lane.params.eq(self.tap_data[channel]),
                self.o.p.currents[channel].eq(lane.currents),
            ]

    def _route(self, m, leaving, enables):
        """Say where a current belongs."""
        walk, last = self._walk, enables[-1:]
        place = {name: hold(m, leaving[name], enables[2:-1]) for name in ("address", "channel", "beat")}
        state = self._config.state_depth - self._config.group_beats
        m.d.comb += [
            self.o.p.target.eq(Target.MIX),
            self.o.p.params.eq(hold(m, walk.fields.tap_base + place["channel"], last)),
            self.o.p.address.eq(hold(m, walk.offset + place["address"], last)),
            self.o.p.channel.eq(hold(m, place["channel"], last)),
            self.o.p.last.eq(hold(m, leaving.last, enables[2:])),
        ]
        if self._config.passes > 1:
            m.d.comb += [
                self.o.p.pass_number.eq(hold(m, leaving.pass_number, enables[2:])),
                self.o.p.state.eq(hold(m, state + place["beat"], last)),
            ]
