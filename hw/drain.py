"""From the lanes' copies to currents: differences, folds, and where each current belongs."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import current_layout, sums_layout
from hw.config import HardwareConfig
from hw.fold import BitPlanes, Difference, FoldStore
from hw.place import PLACE, OutputPlace
from hw.program import DESCRIPTOR, DESCRIPTOR_LAYOUT, Fold, Target

PIPELINE = 2
"""Cycles from a beat of sums to the fold: difference, bit-planes."""


class Drain(wiring.Component):
    """Walks the output positions in the order of the `Walker` and sends their currents to the neurons.

    A position leaves the lanes beat by beat; its current goes to the layer's position target, if there is one, and
    into the fold. After the last position of a tile the folded beats go to the tile target. The lanes are free again
    as soon as the position has left them.

    Members
    -------
    layer : In, the descriptor; stable from ``start`` to ``done``
    start : In(1), begin the layer
    beats : Out, beats of the current group, for the lanes
    sums : In(stream of `hw.beats.sums_layout`)
    currents : Out(stream of `hw.beats.current_layout`, always ready)
    done : Out(1), the last current of the layer has been sent; one cycle

    Latency: three cycles from a beat to its own current, four from the last beat of a tile to the first folded one.
    Throughput: one beat a cycle; a tile costs ``beats + 2`` cycles more.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "layer": In(DESCRIPTOR_LAYOUT),
                "start": In(1),
                "beats": Out(DESCRIPTOR["last_beats"]),
                "sums": In(stream.Signature(sums_layout(config))),
                "currents": Out(stream.Signature(current_layout(config), always_ready=True)),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        layer = self.layer
        m.submodules.place = place = OutputPlace(config=self.config)
        m.d.comb += [place.layer.eq(layer), place.start.eq(self.start), self.beats.eq(place.here.beats)]
        beat, tile = Signal(self.beats.shape()), Signal(PLACE)
        taken = self.sums.valid & self.sums.ready
        to_tile = layer.tile_target != Target.NONE
        m.d.comb += place.step.eq(taken & (beat == place.here.beats - 1))
        m.d.sync += self.done.eq(0)

        emit_tile = Signal()
        with m.FSM():
            with m.State("positions"):
                m.d.comb += self.sums.ready.eq(1)
                with m.If(taken):
                    m.d.sync += beat.eq(beat + 1)
                with m.If(place.step):
                    m.d.sync += [beat.eq(0), tile.eq(place.here)]
                    with m.If(place.here.end | (place.here.sub_last & to_tile)):
                        m.next = "settle"
            with m.State("settle"):
                m.d.sync += beat.eq(beat + 1)
                with m.If(beat == PIPELINE - 1):
                    m.d.sync += [beat.eq(0), self.done.eq(~to_tile)]
                    m.next = "positions"
                    with m.If(to_tile):
                        m.next = "tile"
            with m.State("tile"):
                m.d.comb += emit_tile.eq(1)
                m.d.sync += beat.eq(beat + 1)
                with m.If(beat == tile.beats - 1):
                    m.d.sync += [beat.eq(0), self.done.eq(tile.end)]
                    m.next = "positions"
        self._datapath(m, place.here, beat, taken, tile, emit_tile)
        return m

    def _datapath(self, m, here, beat, taken, tile, emit_tile):
        """Carry a beat through difference, bit-planes and fold, with its place beside it."""
        layer = self.layer
        m.submodules.difference = difference = Difference(config=self.config)
        m.submodules.planes = planes = BitPlanes(config=self.config)
        m.submodules.fold = fold = FoldStore(config=self.config)
        valid, place, number = taken, here, beat
        for stage in range(PIPELINE):
            later = (
                Signal(name=f"valid_{stage}"),
                Signal(PLACE, name=f"place_{stage}"),
                Signal.like(beat, name=f"beat_{stage}"),
            )
            m.d.sync += [later[0].eq(valid), later[1].eq(place), later[2].eq(number)]
            valid, place, number = later
        m.d.comb += [
            difference.clear.eq(self.start),
            difference.valid.eq(taken),
            difference.beat.eq(beat),
            difference.sums.eq(self.sums.payload),
            planes.enable.eq(layer.fold == Fold.BITS),
            planes.sums.eq(difference.values),
            fold.op.eq(layer.fold),
            fold.valid.eq(valid),
            fold.first.eq(place.sub_first),
            fold.beat.eq(number),
            fold.values.eq(planes.values),
            fold.read_beat.eq(beat),
        ]
        current = self.currents.payload
        emit_position = valid & (layer.position_target != Target.NONE)
        source, offset = Mux(emit_tile, tile.as_value(), place.as_value()), Mux(emit_tile, beat, number)
        chosen = Signal(PLACE)
        channel = Signal.like(current.channel)
        m.d.comb += [chosen.as_value().eq(source), channel.eq(chosen.channel + offset)]
        m.d.sync += [
            self.currents.valid.eq(emit_tile | emit_position),
            current.currents.eq(Mux(emit_tile, fold.result.as_value(), planes.values.as_value())),
            current.target.eq(Mux(emit_tile, layer.tile_target, layer.position_target)),
            current.params.eq(Mux(emit_tile, layer.tile_params, layer.position_params) + channel),
            current.address.eq(Mux(emit_tile, chosen.tile_address, chosen.address) + offset),
            current.channel.eq(channel),
            current.first.eq(chosen.first),
            current.last.eq(chosen.last),
        ]
