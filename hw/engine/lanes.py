"""The lanes: one weight row a cycle into the sums of all output channels and timesteps."""

from amaranth import Cat, Module, Mux, Shape, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.beats import beat_shape, event_layout, fill_layout, sums_layout
from hw.config import WEIGHT_BITS, HardwareConfig
from hw.memory.memory import block_memory, read_block
from hw.neurons.adders import add_joined
from hw.neurons.one_hot import either
from hw.neurons.pipeline import delay
from hw.program import DESCRIPTOR, INTERVAL

NEIGHBOURS = 16
"""Beats whose sums meet in a register on their way out."""

WEIGHT_CYCLES = 2
"""Cycles from an event to its weights: the memory and the register behind it."""


def lane_layout(config: HardwareConfig) -> data.StructLayout:
    """The running sums of one beat, its number within the group, and whether it is the last one of the position."""
    return data.StructLayout({"sums": sums_layout(config), "beat": beat_shape(config), "final": 1})


class LaneBeat(wiring.Component):
    """The lanes of one beat: their weights and ``timesteps`` accumulators each, free-running modulo ``2**acc_bits``.

    Parameters
    ----------
    number : the beat within the group, which says which words of a weight row it keeps

    Members
    -------
    clear : In(1), set the accumulators to zero
    write : In(words), which of the bus words that this beat has a part of is here; its row and data are those of
    fill : In(`hw.beats.fill_layout`), weights on their way into memory
    enable : In(1), row : In, read a weight row ...
    pattern : In, ... and add it, two cycles later, to the timesteps whose bits are set
    select : In(1), show the accumulators in the next cycle
    sums : Out(`hw.beats.sums_layout`), 0 where they are not selected

    Throughput: one weight row a cycle; the accumulators can be selected in the cycle after the pattern.
    """

    def __init__(self, *, config: HardwareConfig, number: int):
        if number not in range(config.group_beats):
            raise TypeError(f"number must be a beat of a group of {config.group_beats}, not {number!r}")
        self.config = config
        # The bus words of its weights, or the one that they are a part of.
        first, self.skipped = divmod(number * config.beat_channels, config.bus_bytes)
        self.words = range(first, first + max(1, config.beat_channels // config.bus_bytes))
        super().__init__(
            {
                "clear": In(1),
                "write": In(len(self.words)),
                "fill": In(fill_layout(config)),
                "enable": In(1),
                "row": In(range(config.weight_depth)),
                "pattern": In(config.timesteps),
                "select": In(1),
                "sums": Out(sums_layout(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, layout = self.config, sums_layout(self.config)
        row = data.ArrayLayout(signed(WEIGHT_BITS), config.beat_channels)
        m.submodules.memory = memory = block_memory(shape=Shape.cast(row).width, depth=config.weight_depth)
        self._fill(m, memory)
        weights = data.View(row, delay(m, read_block(m, memory, address=self.row, enable=self.enable), 1))

        accumulators, shown = Signal(layout, reset_less=True), Signal(layout, reset_less=True)
        for sums, weight in zip(accumulators, weights, strict=True):
            added = add_joined(m, [(total, weight) for total in sums], unused=self.clear)
            for total, enable, more in zip(sums, self.pattern, added, strict=True):
                with m.If(self.clear):
                    m.d.sync += total.eq(0)
                with m.Elif(enable):
                    m.d.sync += total.eq(more)
        # The register's reset makes the zeros: an OR of all beats then takes the place of a multiplexer.
        m.d.sync += shown.as_value().eq(Mux(self.select, accumulators.as_value(), 0))
        m.d.comb += self.sums.eq(shown)
        return m

    def _fill(self, m, memory):
        """Write what belongs to this beat: several words of the bus, or a part of one."""
        width = WEIGHT_BITS * min(self.config.beat_channels, self.config.bus_bytes)
        write_port = memory.write_port(granularity=width)
        m.d.comb += [
            write_port.addr.eq(self.fill.row),
            write_port.data.eq(self.fill.data[WEIGHT_BITS * self.skipped :][:width].replicate(len(self.words))),
            write_port.en.eq(self.write),
        ]


class LaneArray(wiring.Component):
    """Adds the weight row of every event to the sums of the timesteps in its pattern.

    Events move from beat to beat, so that a beat of lanes is one cycle behind the one before it: the sums of a position
    become complete beat after beat, in the order and at the pace in which they leave. They are running sums; what the
    position summed is the difference to the position before (`hw.engine.drain.Drain` takes it).

    Members
    -------
    clear : In(1), set the accumulators to zero; between layers
    fill : In(stream of `hw.beats.fill_layout`, always ready), weights; a row can be used three cycles after its last
        word
    interval : In, the fewest cycles from the last event of a position to that of the next; at least the beats of a
        group, and two
    closing_interval : In, the same after the last position of a tile
    last_beats : In, beats of the last group; all others are full
    events : In(stream of `hw.beats.event_layout`)
    sums : Out(stream of `lane_layout`, always ready)

    Latency: six cycles from the last event of a position to its first beat. Throughput: one event a cycle, except that
    the last event of a position waits until an interval has passed since the one before.
    """

    def __init__(self, *, config: HardwareConfig):
        self.config = config
        super().__init__(
            {
                "clear": In(1),
                "fill": In(stream.Signature(fill_layout(config), always_ready=True)),
                "interval": In(INTERVAL),
                "closing_interval": In(INTERVAL),
                "last_beats": In(DESCRIPTOR["last_beats"]),
                "events": In(stream.Signature(event_layout(config))),
                "sums": Out(stream.Signature(lane_layout(config), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, event = self.config, self.events.payload
        taken = self._pace(m)
        clear, fill = self.clear, self.fill
        reads = _pipe(m, taken & event.pattern.any(), config.group_beats - 1)
        rows = _pipe(m, event.row, config.group_beats - 1, reset_less=True)
        patterns = _pipe(m, Mux(taken, event.pattern, 0), config.group_beats + WEIGHT_CYCLES - 1)
        ends = _pipe(m, taken & event.last, WEIGHT_CYCLES + 1)
        number, stop = self._follow(m, ends[-2], delay(m, event.tail, WEIGHT_CYCLES))
        selects, shown = [ends[-1]], []
        for place in range(config.group_beats):
            m.submodules[f"beat_{place}"] = beat = LaneBeat(config=config, number=place)
            if beat.skipped == 0:
                clear, fill, write = self._move(m, clear, fill, beat.words)
            m.d.comb += [
                beat.clear.eq(clear),
                beat.write.eq(write),
                beat.fill.eq(fill.payload),
                beat.enable.eq(reads[place]),
                beat.row.eq(rows[place]),
                beat.pattern.eq(patterns[place + WEIGHT_CYCLES]),
                beat.select.eq(selects[place]),
            ]
            shown.append(beat.sums.as_value())
            # The next beat is selected a cycle later, unless this one is the last of the group.
            selects.append(Signal(name=f"select_{place + 1}"))
            m.d.sync += selects[-1].eq(selects[place] & ~stop)
        self._leave(m, selects[:-1], shown, number, stop)
        return m

    def _move(self, m, clear, fill, words):
        """A register on the way to the beats of some bus words: weights arrive there before the event that wants them.

        Return what has moved, and which of the words is there."""
        moved_clear, moved = Signal(), stream.Signature(fill_layout(self.config), always_ready=True).create()
        write = Signal(len(words))
        m.d.sync += [moved_clear.eq(clear), moved.payload.eq(fill.payload), moved.valid.eq(fill.valid)]
        m.d.sync += write.eq(Cat(fill.valid & (fill.payload.word == word) for word in words))
        return moved_clear, moved, write

    def _follow(self, m, before, tail):
        """Count the beats that are selected, from a cycle ``before`` the first of a position; return the number of the
        selected beat, and whether it is the last of its group."""
        full, number = self.config.group_beats, Signal(range(self.config.group_beats + 1))
        in_tail, stop = Signal(), Signal()
        # The last beat but one of a tail; a tail of one beat has none.
        short, single = Signal.like(self.last_beats), Signal()
        m.d.sync += [short.eq(self.last_beats - 2), single.eq(self.last_beats == 1)]
        with m.If(before):
            m.d.sync += [number.eq(0), in_tail.eq(tail), stop.eq((tail & single) | (full == 1))]
        with m.Else():
            m.d.sync += [number.eq(number + 1), stop.eq(number == Mux(in_tail, short, max(0, full - 2)))]
        return number, stop

    def _pace(self, m):
        """Hold back the last event of a position that comes too early; return whether an event is taken."""
        left, early = Signal(INTERVAL), Signal()
        last, interval = self.events.payload.last, Mux(self.events.payload.close, self.closing_interval, self.interval)
        taken = self.events.valid & self.events.ready
        m.d.comb += self.events.ready.eq(~(last & early))
        with m.If(taken & last):
            m.d.sync += [left.eq(interval - 1), early.eq(1)]
        with m.Elif(early):
            m.d.sync += [left.eq(left - 1), early.eq(left > 1)]
        return taken

    def _leave(self, m, selects, shown, number, stop):
        """Send what the beats show, which is zero for all but the selected one.

        A register after every few beats: their wires meet close to them, not all in one place."""
        selected, payload = Signal(2), self.sums.payload
        near = [delay(m, either(shown[first : first + NEIGHBOURS]), 1) for first in range(0, len(shown), NEIGHBOURS)]
        m.d.sync += [
            selected.eq(Cat(Cat(selects).any(), selected[0])),
            self.sums.valid.eq(selected[1]),
            payload.sums.eq(either(near)),
        ]
        m.d.comb += [payload.beat.eq(delay(m, number, 3)), payload.final.eq(delay(m, stop, 3))]


def _pipe(m, value, count, *, reset_less=False):
    """The value and what it was one to ``count`` cycles ago."""
    values = [value]
    for _ in range(count):
        values.append(Signal(value.shape(), reset_less=reset_less))
        m.d.sync += values[-1].eq(values[-2])
    return values
