"""Where the output positions of a layer belong: the walk that mirrors the `Walker` on the other side of the lanes."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import address_shape, channel_shape, pass_shape, state_shape
from hw.config import HardwareConfig
from hw.engine.loops import LoopNest, connect_loops, every_level, level_bit
from hw.program import DESCRIPTOR, DESCRIPTOR_LAYOUT


def position_layout(config: HardwareConfig) -> data.StructLayout:
    """Where an output position belongs."""
    return data.StructLayout(
        {
            "address": address_shape(config),  # first beat of the position, relative to the output map
            "tile": address_shape(config),  # first beat of its tile, relative to the map of tiles
            "channel": channel_shape(config),  # first channel beat of the group
            "pass_number": pass_shape(config),
            "state": state_shape(config),  # first beat of the position's neuron state
            "open": 1,  # first position of its tile
            "close": 1,  # last position of its tile
            "first": 1,  # in the first tile
            "last": 1,  # in the last tile
            "group_end": 1,  # last position of the group
            "end": 1,  # last position of the layer
        }
    )


class OutputPlace(wiring.Component):
    """Follows the output positions of an EVENT layer in the order in which the lanes finish them.

    A position's state is its number within the tile times the beats of a full group: every pass of a tile comes back
    to the same state.

    Members
    -------
    layer : In, the descriptor
    start : In(1), go to the first position
    step : In(1), go to the next one
    here : Out, the place of the current position

    Latency: three cycles from ``start`` or ``step``. Throughput: one step in four cycles.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        here = Out(position_layout(config))
        super().__init__({"layer": In(DESCRIPTOR_LAYOUT), "start": In(1), "step": In(1), "here": here})

    def elaborate(self, platform):
        m = Module()
        m.submodules.loops = loops = LoopNest(address=address_shape(self.config))
        layer, here = self.layer, self.here
        connect_loops(m, loops, layer, "output")
        group = Signal(DESCRIPTOR["last_group"])
        # The first beat of the group, and of the next one.
        origin, following = Signal.like(here.address), Signal.like(here.address)
        last_pass = level_bit(loops.at_last, "pass")
        m.d.comb += [
            following.eq(Mux(self.start, 0, origin + self.config.group_beats)),
            loops.base.eq(following),
            loops.restart.eq(self.start),
            loops.step.eq(self.step),
            here.address.eq(loops.address),
            here.channel.eq(origin),
            here.open.eq(every_level(loops.at_first, ("sub_row", "sub_col", "chunk"))),
            here.close.eq(every_level(loops.at_last, ("sub_row", "sub_col", "chunk"))),
            here.first.eq(every_level(loops.at_first, ("tile_row", "tile_col"))),
            here.last.eq(every_level(loops.at_last, ("tile_row", "tile_col"))),
            here.group_end.eq(loops.done),
            here.end.eq(loops.done & (group == layer.last_group)),
        ]
        with m.If(self.step):
            m.d.sync += here.state.eq(here.state + self.config.group_beats)
            with m.If(here.close):
                m.d.sync += [
                    here.state.eq(0),
                    here.pass_number.eq(Mux(last_pass, 0, here.pass_number + 1)),
                    here.tile.eq(here.tile + Mux(last_pass, layer.tile_next, layer.tile_pass)),
                ]
            with m.If(loops.done):
                m.d.sync += group.eq(group + 1)
        with m.If(self.start):
            m.d.sync += [group.eq(0), here.state.eq(0), here.pass_number.eq(0)]
        with m.If(self.start | (self.step & loops.done)):
            m.d.sync += [origin.eq(following), here.tile.eq(following)]
        return m
