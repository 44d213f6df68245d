"""The order in which the mixing unit goes through the keys, and their addresses."""

from amaranth import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.attention.line_buffer import NEIGHBOURS, Raster
from hw.beats import address_shape, beat_shape, channel_shape, pass_shape
from hw.config import HardwareConfig
from hw.program import DESCRIPTOR, DESCRIPTOR_LAYOUT

BEAT = unsigned(8)
"""Beat within a group."""

LEAST_VISIT = 2
"""Cycles of the shortest visit: the line buffer is read and then written."""

MIX_FIELDS = data.StructLayout(
    {
        name: DESCRIPTOR[name]
        for name in (
            *("output_base", "output_beats", "width", "height", "key_pass", "last_pass"),
            *("last_group", "last_beats", "tap_base"),
        )
    }
)
"""What the mixing unit keeps of the descriptor of the layer that writes the keys."""


def cell_layout(config: HardwareConfig) -> data.StructLayout:
    """A beat of keys, ``address`` in spike memory, and the window that it completes.

    ``read`` says that there is such a beat, and not only the rest of the last windows; ``centre`` that the window has a
    centre, whose ``neighbours`` are inside the grid. ``cell`` and ``place`` are the beat's in the line buffer.
    ``last`` marks the last beat of a position and pass in the last group.
    """
    cells = config.group_beats * config.passes
    return data.StructLayout(
        {
            "address": address_shape(config),
            "read": 1,
            "cell": range(cells),
            "place": range(config.max_width * cells),
            "channel": channel_shape(config),
            "pass_number": pass_shape(config),
            "beat": beat_shape(config),
            "centre": 1,
            "neighbours": NEIGHBOURS,
            "last": 1,
        }
    )


class MixWalk(wiring.Component):
    """Walks through the keys, group by group: positions in raster order, passes, beats of the group.

    A *visit* is one pass of one position. It takes a cycle for each of its beats, and idles when it would be shorter
    than ``state_spacing`` in a layer with several passes, or than ``LEAST_VISIT`` in others.

    Parameters
    ----------
    config : sizes
    state_spacing : least cycles from one pass of a beat to the next

    Members
    -------
    layer : In, the descriptor, of which ``configure`` keeps what the walk needs
    configure : In(1), a pulse before the first group, not while busy
    group : In(1), one more group of keys is complete
    enable : In(1), go on
    valid : Out(1), there is a beat here; else the walk idles
    here : Out(cell_layout)
    fields : Out(MIX_FIELDS), as they were kept
    offset : Out(address), from a beat's address to that of the mixed beat at the centre of its window, modulo the
        address range; right from the first window with a centre on
    busy : Out(1), a group is complete and has not been walked through

    **Latency**: one cycle (with ``enable``) from one group to the next. **Throughput**: one beat a cycle. A group takes
    ``(width * (height + 1) + 1) * passes`` visits.

    Raises TypeError for a spacing that is not a positive integer.
    """

    def __init__(self, *, config: HardwareConfig, state_spacing: int):
        if type(state_spacing) is not int or state_spacing < 1:
            raise TypeError(f"state_spacing must be a positive integer, not {state_spacing!r}")
        self._config = config
        self._spacing = max(state_spacing, LEAST_VISIT)
        super().__init__(
            {
                "layer": In(DESCRIPTOR_LAYOUT),
                "configure": In(1),
                "group": In(1),
                "enable": In(1),
                "valid": Out(1),
                "here": Out(cell_layout(config)),
                "fields": Out(MIX_FIELDS),
                "offset": Out(address_shape(config)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.raster = raster = Raster()
        begin, walking, moved = Signal(), Signal(), Signal()
        first, final = Signal(), Signal()  # the group
        base = Signal.like(self.offset)  # first beat of the group
        m.d.comb += [
            raster.width.eq(self.fields.width),
            raster.height.eq(self.fields.height),
            raster.start.eq(begin),
            raster.step.eq(moved),
            self.here.read.eq(raster.inside),
            self.here.centre.eq(raster.centre),
            self.here.neighbours.eq(raster.neighbours),
        ]
        ended = Signal()
        m.d.comb += ended.eq(moved & raster.last)
        last_beats = self._groups(m, begin=begin, walking=walking, ended=ended, final=final)
        visited = self._beats(m, begin=begin, walking=walking, last_beats=last_beats, final=final)
        self._passes(m, begin=begin, visited=visited, moved=moved, base=base)
        self._places(m, begin=begin, moved=moved, wrap=raster.wrap)
        channel = Signal.like(self.here.channel)  # first channel beat of the group
        m.d.comb += self.here.channel.eq(channel + self.here.beat)
        with m.If(ended):
            m.d.sync += [
                base.eq(base + self._config.group_beats),
                channel.eq(channel + self._config.group_beats),
                first.eq(0),
            ]
        with m.If(moved & first & ~raster.centre):
            m.d.sync += self.offset.eq(self.offset - self.fields.output_beats)
        with m.If(self.configure):
            m.d.sync += [base.eq(self.layer.output_base), channel.eq(0), first.eq(1)]
            m.d.sync += self.offset.eq(self.layer.mix_base - self.layer.output_base)
        return m

    def _groups(self, m, *, begin, walking, ended, final):
        """Begin with a group when it is complete; return the number of its last beat, and of that of the next one."""
        pending, waiting = Signal(len(self.fields.last_group) + 1), Signal()
        group, last_beat = Signal.like(self.fields.last_group), Signal(BEAT)
        # What the next group is like is found out before it begins.
        newest, newest_beat = Signal(), Signal(BEAT)
        m.d.sync += newest.eq(group == self.fields.last_group)
        m.d.comb += newest_beat.eq(Mux(newest, self.fields.last_beats, self._config.group_beats) - 1)
        m.d.comb += [begin.eq(self.enable & ~walking & waiting), self.busy.eq(walking | waiting)]
        m.d.sync += [pending.eq(pending + self.group - begin), waiting.eq(self.group | (pending > begin))]
        with m.If(begin):
            m.d.sync += [walking.eq(1), group.eq(group + 1), final.eq(newest), last_beat.eq(newest_beat)]
        with m.If(ended):
            m.d.sync += walking.eq(0)
        with m.If(self.configure):
            m.d.sync += [self.fields[name].eq(self.layer[name]) for name in MIX_FIELDS.members]
            m.d.sync += group.eq(0)
        return last_beat, newest_beat

    def _beats(self, m, *, begin, walking, last_beats, final):
        """Count the beats of a visit, and its idle cycles; return that it ends."""
        longest = max(self._config.group_beats, self._spacing)
        count, visited = Signal(range(longest)), Signal()
        # The last beat, the beats behind it, and long enough: each known a cycle before.
        newest, past, enough, least = Signal(), Signal(), Signal(), Signal.like(count)
        m.d.sync += least.eq(LEAST_VISIT - 2)
        if self._config.passes > 1:
            with m.If(self.fields.last_pass != 0):
                m.d.sync += least.eq(self._spacing - 2)
        last_beat, next_last_beat = last_beats
        m.d.comb += [
            visited.eq(self.enable & walking & (past | newest) & enough),
            self.valid.eq(walking & ~past),
            self.here.beat.eq(count),
            self.here.last.eq(newest & final),
        ]
        with m.If(begin | visited):
            m.d.sync += [count.eq(0), past.eq(0), enough.eq(0)]
            m.d.sync += newest.eq(Mux(begin, next_last_beat, last_beat) == 0)
        with m.Elif(self.enable):
            m.d.sync += [count.eq(count + 1), past.eq(past | newest), enough.eq(enough | (count == least))]
            m.d.sync += newest.eq(count + 1 == last_beat)
        return visited

    def _passes(self, m, *, begin, visited, moved, base):
        """Address the beat: a position after the other, and its passes ``key_pass`` apart."""
        position, visit = Signal.like(base), Signal.like(base)  # first beats of the group there
        here, fields = self.here, self.fields
        ahead = position + fields.output_beats
        if self._config.passes > 1:
            final = here.pass_number == fields.last_pass
            m.d.comb += moved.eq(visited & final)
            with m.If(visited):
                m.d.sync += here.pass_number.eq(Mux(final, 0, here.pass_number + 1))
                m.d.sync += visit.eq(Mux(final, ahead, visit + fields.key_pass))
            with m.If(begin):
                m.d.sync += visit.eq(base)
        else:
            m.d.comb += [moved.eq(visited), visit.eq(position)]
        with m.If(begin):
            m.d.sync += position.eq(base)
        with m.Elif(moved):
            m.d.sync += position.eq(ahead)
        m.d.comb += here.address.eq(visit + here.beat)

    def _places(self, m, *, begin, moved, wrap):
        """Count the beats of a position and of a row."""
        here = self.here
        with m.If(self.enable & self.valid):
            m.d.sync += [here.cell.eq(here.cell + 1), here.place.eq(here.place + 1)]
        with m.If(begin | moved):
            m.d.sync += here.cell.eq(0)
        with m.If(begin | (moved & wrap)):
            m.d.sync += here.place.eq(0)
