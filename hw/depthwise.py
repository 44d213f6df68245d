"""The mixing unit: depthwise convolution of the keys, and the mask of the attention."""

from amaranth import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import CHANNEL, current_layout, currents_layout, spikes_layout
from hw.config import HardwareConfig
from hw.line_buffer import GRID, NEIGHBOURS, LineBuffer, Raster
from hw.pipeline import hold
from hw.popcount import popcount
from hw.program import ADDRESS, Target, taps_layout

LATENCY = 4
"""Stages of the sums and of their counter, which have to agree."""


class BeatWalk(wiring.Component):
    """Walks over the beats of a map: all positions of a channel beat in raster order, then the next channel beat.

    Members
    -------
    base : In(ADDRESS), first beat of the map
    channel_beats : In(16), beats of one position
    width, height : In(GRID), the grid, at least 1x1
    start : In(1), go to the first beat; wins over ``step``
    step : In(1), go to the next beat
    address : Out(ADDRESS), ``base + position * channel_beats + channel``
    channel : Out(CHANNEL), channel beat
    last : Out(1), this is the last beat of the map
    """

    def __init__(self):
        super().__init__(
            {
                "base": In(ADDRESS),
                "channel_beats": In(16),
                "width": In(GRID),
                "height": In(GRID),
                "start": In(1),
                "step": In(1),
                "address": Out(ADDRESS),
                "channel": Out(CHANNEL),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.position = position = Raster()
        first = Signal(ADDRESS)  # of this channel beat
        m.d.comb += [
            position.width.eq(self.width),
            position.height.eq(self.height),
            position.start.eq(self.start),
            position.step.eq(self.step),
            self.last.eq(position.last & (self.channel + 1 == self.channel_beats)),
        ]
        with m.If(self.start):
            m.d.sync += [first.eq(self.base), self.address.eq(self.base), self.channel.eq(0)]
        with m.Elif(self.step & position.last):
            m.d.sync += [first.eq(first + 1), self.address.eq(first + 1), self.channel.eq(self.channel + 1)]
        with m.Elif(self.step):
            m.d.sync += self.address.eq(self.address + self.channel_beats)
        return m


class TapLane(wiring.Component):
    """One channel: the taps of the neighbours that spike, and 1.0 where mask and key spike.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    enables : In(latency), one bit a stage: the stage takes what the one before it holds (stage 0: the inputs)
    window : In([9] unsigned(timesteps)), spikes of the channel around a position
    mask : In(timesteps), spikes of the mask
    params : In({taps: [9] signed(8), one: signed(current_bits)}), of the channel, units of its weight scale
    currents : Out([timesteps] signed(current_bits)), the same units; lowering proves that they fit

    **Latency**: ``latency = 4`` cycles. **Throughput**: one position a cycle.
    """

    latency = LATENCY

    def __init__(self, *, config: HardwareConfig):
        self._current = signed(config.current_bits)
        super().__init__(
            {
                "enables": In(self.latency),
                "window": In(data.ArrayLayout(unsigned(config.timesteps), 9)),
                "mask": In(config.timesteps),
                "params": In(taps_layout(config).elem_shape),
                "currents": Out(currents_layout(config).elem_shape),
            }
        )

    def elaborate(self, platform):
        m = Module()
        inputs, rows, halves, total = self.enables
        # The inputs come from memories, so that they get a stage of their own.
        window, params = hold(m, self.window, inputs), hold(m, self.params, inputs)
        masked = hold(m, self.mask & self.window[4], inputs)
        one, masked = hold(m, params.one, rows), hold(m, masked, rows)
        for step, current in enumerate(self.currents):
            taps = [Mux(window[i][step], params.taps[i], 0) for i in range(9)]
            north, centre, south = (hold(m, sum(taps[i + 1 : i + 3], taps[i]), rows) for i in (0, 3, 6))
            upper = hold(m, north + centre, halves)
            lower = hold(m, south + Mux(masked[step], one, 0), halves)
            m.d.comb += current.eq(hold(m, upper + lower, total))
        return m


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

    **Latency**: ``latency = 4`` cycles. **Throughput**: one beat a cycle.
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
        inputs, across, down, total = self.enables
        keys, mask = self.keys.as_value(), self.mask.as_value()
        spikes = hold(m, popcount(keys), inputs)
        near = hold(m, self.neighbours, inputs)
        row = hold(m, spikes + Mux(near.west, spikes, 0) + Mux(near.east, spikes, 0), across)
        near = hold(m, near, across)
        grid = hold(m, row + Mux(near.north, row, 0) + Mux(near.south, row, 0), down)
        masked = hold(m, popcount(keys & mask), self.enables[:3])
        m.d.comb += self.sops.eq(hold(m, grid + masked, total))
        return m


class MixUnit(wiring.Component):
    """Mixes a map of keys: ``y = dwc(K) + (one if M & K else 0)``, dwc 3x3 per channel with zero padding (eq. 16-17).

    One channel beat after the other goes through the line buffer, without a gap between them. The memories are outside;
    their data arrives in the cycle after the address.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    start : In(1), begin a layer
    busy : Out(1), from the cycle after ``start`` up to and including that of the last current
    input_base, channel_beats, width, height, tap_base, params : In, fields of the layer's descriptor; held while busy.
        The grid is from 1x1 to ``max_width`` wide, and there is at least one channel beat.
    spike_enable, spike_address, spike_data : read port of the spike memory, by beats
    tap_address, tap_data : read port of the tap memory; data is `hw.program.taps_layout`
    mask_address, mask_data : read port of the masks
    o : Out(stream(current_layout)), currents without bias, for spikes; units of the channel's weight scale
    sops : Out(range(10 * P * T + 1)), accumulates of the beat of keys at the position of ``o``, else 0

    **Latency**: ``width + latency`` cycles from ``start`` to the first current, ``latency = 9``. **Throughput**: one
    current a cycle; a layer is busy for ``width * height * channel_beats + width + latency - 1`` cycles.
    """

    latency = 5 + LATENCY

    def __init__(self, *, config: HardwareConfig):
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "busy": Out(1),
                "input_base": In(ADDRESS),
                "channel_beats": In(16),
                "width": In(GRID),
                "height": In(GRID),
                "tap_base": In(16),
                "params": In(16),
                "spike_enable": Out(1),
                "spike_address": Out(ADDRESS),
                "spike_data": In(spikes_layout(config)),
                "tap_address": Out(range(config.tap_depth)),
                "tap_data": In(taps_layout(config)),
                "mask_address": Out(range(config.channel_depth)),
                "mask_data": In(spikes_layout(config)),
                "o": Out(stream.Signature(current_layout(config), always_ready=True)),
                "sops": Out(range(10 * config.beat_channels * config.timesteps + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.lines = lines = LineBuffer(shape=spikes_layout(self._config), max_width=self._config.max_width)
        m.submodules.reader, m.submodules.writer = reader, writer = BeatWalk(), BeatWalk()
        for unit in (lines, reader, writer):
            m.d.comb += [unit.width.eq(self.width), unit.height.eq(self.height), unit.start.eq(self.start)]
        for walk in (reader, writer):
            m.d.comb += walk.channel_beats.eq(self.channel_beats)
        m.d.comb += reader.base.eq(self.input_base)
        self._read(m, reader, writer, lines)
        self._fetch(m, lines)
        self._add(m, lines)
        m.d.comb += [
            writer.step.eq(self.o.valid),
            self.o.p.target.eq(Target.SPIKES),
            self.o.p.params.eq(self.params + writer.channel),
            self.o.p.address.eq(writer.address),
            self.o.p.channel.eq(writer.channel),
        ]
        return m

    def _read(self, m, reader, writer, lines):
        """Read all beats of the map into the line buffer, flush it, and wait for the last current."""
        pushed = Signal()
        flush = Signal(GRID)
        m.d.sync += pushed.eq(0)
        m.d.comb += [
            reader.step.eq(self.spike_enable),
            self.spike_address.eq(reader.address),
            lines.i.p.eq(self.spike_data),
            lines.i.valid.eq(pushed),
        ]
        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("idle"))
            with m.State("idle"):
                with m.If(self.start):
                    m.next = "read"
            with m.State("read"):
                m.d.comb += self.spike_enable.eq(1)
                m.d.sync += [pushed.eq(1), flush.eq(self.width)]
                with m.If(reader.last):
                    m.next = "flush"
            with m.State("flush"):
                m.d.sync += [pushed.eq(1), flush.eq(flush - 1)]
                with m.If(flush == 0):
                    m.next = "drain"
            with m.State("drain"):
                with m.If(self.o.valid & writer.last):
                    m.next = "idle"

    def _fetch(self, m, lines):
        """Address the taps and the mask of the window that leaves the line buffer."""
        near = lines.o.p.neighbours
        with m.If(self.start):
            m.d.sync += [self.tap_address.eq(self.tap_base), self.mask_address.eq(0)]
        with m.Elif(lines.o.valid & ~near.south & ~near.east):
            m.d.sync += [self.tap_address.eq(self.tap_address + 1), self.mask_address.eq(self.mask_address + 1)]

    def _add(self, m, lines):
        """The pipeline from the windows to the currents, and the counter beside it."""
        filled = Signal(1 + LATENCY)
        m.d.sync += filled.eq(Cat(lines.o.valid, filled))
        window = [hold(m, beat, lines.o.valid) for beat in lines.o.p.beats]
        m.submodules.work = work = WorkCounter(config=self._config)
        m.d.comb += [
            work.enables.eq(filled),
            work.keys.eq(window[4]),
            work.mask.eq(self.mask_data),
            work.neighbours.eq(hold(m, lines.o.p.neighbours, lines.o.valid)),
            self.o.valid.eq(filled[-1]),
            self.sops.eq(Mux(self.o.valid, work.sops, 0)),
        ]
        for channel in range(self._config.beat_channels):
            m.submodules[f"lane_{channel}"] = lane = TapLane(config=self._config)
            m.d.comb += [
                lane.enables.eq(filled),
                lane.window.eq(Cat(beat[channel] for beat in window)),
                lane.mask.eq(self.mask_data[channel]),
                lane.params.eq(self.tap_data[channel]),
                self.o.p.currents[channel].eq(lane.currents),
            ]
