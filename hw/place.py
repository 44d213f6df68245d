"""Where the output positions of a layer belong: the walk that mirrors the `Walker` on the other side of the lanes."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import CHANNEL
from hw.config import HardwareConfig
from hw.loops import LoopNest, connect_loops, level_bit
from hw.program import ADDRESS, DESCRIPTOR, DESCRIPTOR_LAYOUT

PLACE = data.StructLayout(
    {
        "address": ADDRESS,  # first beat of the position, relative to the output map
        "tile_address": ADDRESS,  # first beat of its tile
        "channel": CHANNEL,  # first channel beat of the group
        "beats": DESCRIPTOR["last_beats"],  # beats of the group
        "sub_first": 1,  # first position of its tile
        "sub_last": 1,  # last position of its tile
        "first": 1,  # in the first tile
        "last": 1,  # in the last tile
        "end": 1,  # last position of the layer
    }
)


class OutputPlace(wiring.Component):
    """Follows the output positions of an EVENT layer in the order in which the lanes finish them.

    Members
    -------
    layer : In, the descriptor
    start : In(1), go to the first position
    step : In(1), go to the next one
    here : Out, the place of the current position

    Latency: one cycle from ``start`` or ``step``.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__({"layer": In(DESCRIPTOR_LAYOUT), "start": In(1), "step": In(1), "here": Out(PLACE)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.loops = loops = LoopNest()
        layer, here = self.layer, self.here
        connect_loops(m, loops, layer, "output")
        m.d.comb += [loops.base.eq(0), loops.restart.eq(self.start), loops.step.eq(self.step)]

        group, channel, tile = Signal(DESCRIPTOR["last_group"]), Signal(CHANNEL), Signal(ADDRESS)
        last_group = group == layer.last_group
        subs, tiles = ("sub_row", "sub_col", "chunk"), ("tile_row", "tile_col")
        m.d.comb += [
            here.address.eq(loops.address + channel),
            here.tile_address.eq(tile + channel),
            here.channel.eq(channel),
            here.beats.eq(Mux(last_group, layer.last_beats, self.config.group_beats)),
            here.sub_first.eq(_every(loops.at_first, subs)),
            here.sub_last.eq(_every(loops.at_last, subs)),
            here.first.eq(_every(loops.at_first, tiles)),
            here.last.eq(_every(loops.at_last, tiles)),
            here.end.eq(loops.done & last_group),
        ]
        with m.If(self.step & here.sub_last):
            m.d.sync += tile.eq(tile + layer.output_beats)
        with m.If(self.step & loops.done):
            m.d.sync += [group.eq(group + 1), channel.eq(channel + self.config.group_beats), tile.eq(0)]
        with m.If(self.start):
            m.d.sync += [group.eq(0), channel.eq(0), tile.eq(0)]
        return m


def _every(flags, levels):
    """All loops of ``levels`` have their flag."""
    result = level_bit(flags, levels[0])
    for level in levels[1:]:
        result = result & level_bit(flags, level)
    return result
