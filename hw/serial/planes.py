"""Pixels into spike memory, bit-plane by bit-plane."""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.serial.config import PLANES, SerialConfig, place_layout, spike_address, word_shape
from hw.serial.firing import spikes_layout
from hw.serial.program import LEAST_CHANNELS, descriptor_layout


class PlaneLoader(wiring.Component):
    """Takes the channels of a pixel, and writes a word for each of its bit-planes.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    layer : In, the descriptor; constant between the first pixel and the last plane
    enable : In(1), take pixels
    pixels : In(stream of 8 bits), the channels of a position one after the other, ``last_channel + 1`` of them, at most
        ``LEAST_CHANNELS``
    place : In(stream of `place_layout`), a position and the number of its plane, in order; plane 0 is the most
        significant
    spikes : Out(stream of `spikes_layout`, always ready)

    **Latency**: a plane is written in the cycle in which its place is taken. **Throughput**: a channel a cycle, then a
    plane a cycle.
    """

    def __init__(self, *, config: SerialConfig):
        self.config = config
        super().__init__(
            {
                "layer": In(descriptor_layout(config)),
                "enable": In(1),
                "pixels": In(stream.Signature(PLANES)),
                "place": In(stream.Signature(place_layout(config))),
                "spikes": Out(stream.Signature(spikes_layout(config), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        layer, place = self.layer, self.place.payload
        pixel = Signal(data.ArrayLayout(PLANES, LEAST_CHANNELS))
        count, full = Signal(range(LEAST_CHANNELS)), Signal()
        # The channel that came last is the highest of those that are there: shifted in from above.
        taken = self.pixels.valid & self.pixels.ready
        m.d.comb += [self.pixels.ready.eq(self.enable & ~full), self.place.ready.eq(full)]
        with m.If(taken):
            with m.Switch(count):
                for channel in range(LEAST_CHANNELS):
                    with m.Case(channel):
                        m.d.sync += pixel[channel].eq(self.pixels.payload)
            m.d.sync += count.eq(count + 1)
            with m.If(count == layer.last_channel):
                m.d.sync += [count.eq(0), full.eq(1)]
        there = [1, *(layer.last_channel >= number for number in range(1, LEAST_CHANNELS))]
        word = Cat(channel[-1] & known for channel, known in zip(pixel, there, strict=True))
        with m.If(self.place.valid & full):
            m.d.sync += [channel.eq(channel << 1) for channel in pixel]
            with m.If(place.step == PLANES - 1):
                m.d.sync += full.eq(0)
        m.d.comb += [
            self.spikes.valid.eq(self.place.valid & full),
            self.spikes.payload.data.eq(word),
            self.spikes.payload.address.eq(
                spike_address(
                    self.config,
                    slot=layer.output,
                    small=layer.small_output,
                    step=place.step,
                    row=place.row,
                    column=place.column,
                    word=Const(0, word_shape(self.config)),
                )
            ),
        ]
        return m
