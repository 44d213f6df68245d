"""From the lanes' running sums to currents: differences, folds, and where each current belongs."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import current_layout
from hw.config import HardwareConfig
from hw.engine.fold import FOLD_CYCLES, BitPlanes, Difference, FoldStore, bit_plane_cycles
from hw.engine.lanes import lane_layout
from hw.engine.place import OutputPlace
from hw.neurons.pipeline import delay, hold, stages
from hw.program import DESCRIPTOR_LAYOUT, Fold, Target

DIFFERENCE_CYCLES = 2
"""Latency of `Difference`."""

RECALL_GAP = 3
"""Cycles between the beats of a position and those of the tile that it closes, where both have a target."""


class Drain(wiring.Component):
    """Walks the output positions in the order of the `Walker` and sends their currents to the neurons.

    The beats of a position become its currents, and go into the fold. In a layer whose positions have no target, a
    folded tile leaves in place of its last position; where both have one, it follows that position.

    Members
    -------
    layer : In, the descriptor; stable from ``start`` to ``done``
    start : In(1), begin the layer
    sums : In(stream of `hw.engine.lanes.lane_layout`, always ready); the first beats of two positions are at least four
        cycles apart, and after the last position of a tile ``2 * beats + RECALL_GAP`` where positions and tiles have a
        target
    currents : Out(stream of `hw.beats.current_layout`, always ready)
    coming : Out(1), a current leaves in the next cycle
    release : Out(1), a group has left the lanes
    done : Out(1), the last current of the layer is leaving

    Latency: ``7 + bit_plane_cycles`` cycles from a beat to its current, ``beats + RECALL_GAP`` more to the tile's
    own. Throughput: one beat a cycle.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "layer": In(DESCRIPTOR_LAYOUT),
                "start": In(1),
                "sums": In(stream.Signature(lane_layout(config), always_ready=True)),
                "currents": Out(stream.Signature(current_layout(config), always_ready=True)),
                "coming": Out(1),
                "release": Out(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        layer = self.layer
        m.submodules.place = place = OutputPlace(config=self.config)
        m.submodules.fold = fold = FoldStore(config=self.config)
        valid, final, beat, entering = self._values(m, fold)
        # The place moves on as soon as a position begins, because it takes some cycles.
        here, route = (Signal(place.here.shape(), reset_less=True, name=name) for name in ("here", "route"))
        m.d.sync += place.start.eq(self.start)
        m.d.comb += [place.layer.eq(layer), place.step.eq(entering)]
        with m.If(entering):
            m.d.sync += here.eq(place.here)
        with m.If(delay(m, entering, FOLD_CYCLES)):
            m.d.sync += route.eq(here)

        to_position, to_tile = layer.position_target != Target.NONE, layer.tile_target != Target.NONE
        both = to_position & to_tile
        closing = valid & final & here.close
        recall, number, recalled = self._recall(m, closing & both, beat)
        emit, of_tile, ending = Signal(), Signal(), Signal()
        m.d.comb += [
            fold.op.eq(layer.fold),
            fold.valid.eq(valid),
            fold.first.eq(here.open | (layer.fold == Fold.NONE)),
            fold.recall.eq(recall),
            fold.direct.eq(to_position & ~recall),
            fold.beat.eq(Mux(recall, number, beat)),
            emit.eq(recall | (valid & (to_position | (to_tile & here.close)))),
            of_tile.eq(recall | ~to_position),
            ending.eq(here.end & Mux(both, recalled, closing)),
            self.release.eq(closing & here.group_end),
        ]
        _, emitted = stages(m, emit, FOLD_CYCLES)
        _, ended = stages(m, ending, FOLD_CYCLES)
        m.d.comb += self.coming.eq(emitted[-1])
        m.d.sync += [self.currents.valid.eq(emitted[-1]), self.done.eq(ended[-1])]
        self._send(m, fold.result, route, delay(m, of_tile, FOLD_CYCLES), delay(m, fold.beat, FOLD_CYCLES))
        return m

    def _values(self, m, fold):
        """Take what every position summed into the fold; return (valid, final, beat) beside it, and, a cycle before
        the first beat of a position, ``entering``."""
        m.submodules.difference = difference = Difference(config=self.config)
        m.submodules.planes = planes = BitPlanes(config=self.config)
        sums, fresh = self.sums.payload, Signal()
        with m.If(self.start):
            m.d.sync += fresh.eq(1)
        with m.Elif(self.sums.valid & sums.final):
            m.d.sync += fresh.eq(0)
        cycles = DIFFERENCE_CYCLES + bit_plane_cycles(self.config)
        enables, filled = stages(m, self.sums.valid, cycles)
        _, entering = stages(m, self.sums.valid & (sums.beat == 0), cycles - 1)
        final, beat = (hold(m, value, enables[:-1]) for value in (sums.final, sums.beat))
        m.d.comb += [
            difference.fresh.eq(fresh),
            difference.valid.eq(self.sums.valid),
            difference.beat.eq(sums.beat),
            difference.sums.eq(sums.sums),
            planes.enable.eq(self.layer.fold == Fold.BITS),
            planes.sums.eq(difference.values),
            fold.values.eq(planes.values),
        ]
        return filled[-1], delay(m, final, 1), delay(m, beat, 1), entering[-1]

    def _recall(self, m, start, beat):
        """After a gap go through the beats up to this one again; return (active, beat, whether it is the last)."""
        gap, active = Signal(RECALL_GAP), Signal()
        number, stop = Signal.like(beat), Signal.like(beat)
        recalled = active & (number == stop)
        m.d.sync += [gap.eq(Cat(start, gap)), number.eq(Mux(active, number + 1, 0))]
        with m.If(start):
            m.d.sync += stop.eq(beat)
        with m.If(gap[-1]):
            m.d.sync += active.eq(1)
        with m.Elif(recalled):
            m.d.sync += active.eq(0)
        return active, number, recalled

    def _send(self, m, currents, route, of_tile, beat):
        """Register a beat of currents with its place."""
        layer, current = self.layer, self.currents.payload
        channel, params = Signal.like(current.channel), Signal.like(current.params)
        both = (layer.position_target != Target.NONE) & (layer.tile_target != Target.NONE)
        # The parameters of a group lie together: where there are two kinds, a group takes twice its beats.
        m.d.comb += [channel.eq(route.channel + beat), params.eq(channel + Mux(both, route.channel, 0))]
        m.d.sync += [
            current.currents.eq(currents),
            current.target.eq(Mux(of_tile, layer.tile_target, layer.position_target)),
            current.params.eq(Mux(of_tile, layer.tile_params, layer.position_params) + params),
            current.address.eq(Mux(of_tile, route.tile, route.address) + beat),
            current.channel.eq(channel),
            current.tile.eq(route.tile + beat),
            current.beat.eq(beat),
            # The tile's own state lies behind those of its positions; the last of them is this one.
            current.state.eq(route.state + (Mux(of_tile, self.config.group_beats, 0) + beat)),
            *(current[name].eq(route[name]) for name in ("first", "last", "pass_number", "open", "close")),
        ]
