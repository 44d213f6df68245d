"""Runs a program: reads what a layer and a group need from the store, starts the walk, goes on when all is done."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.serial.config import STORE_BITS, SerialConfig, channel_shape, group_shape, word_shape
from hw.serial.firing import parameter_fill
from hw.serial.lanes import fill_layout
from hw.serial.program import ROWS_BITS, Mode, descriptor_layout, descriptor_words


class Part(enum.Enum, shape=2):
    """Where the word goes that is read."""

    DESCRIPTOR = 0
    PARAMETERS = 1
    WEIGHTS = 2
    NOWHERE = 3


class SerialSequencer(wiring.Component):
    """Runs the layers of the program in the store, group by group of output channels.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    enable : Out(1), address : Out, read the store ...
    data : In(32), ... and have the word one cycle later
    base : In(address), the first word of the program; looked at with ``start``
    start : In(1), run the program; ignored while busy
    busy : Out(1), done : Out(1) a pulse at the end
    layer : Out, the descriptor; number : Out(8), the layer's; group : Out, that of the output channels
    parameters : Out(stream of `hw.serial.firing.parameter_fill`, always ready)
    weights : Out(stream of `hw.serial.lanes.fill_layout`, always ready)
    begin : Out(1), the last word of a group has come, or comes in this cycle: walk
    finished : In(1), the walk has ended and nothing is on its way; looked at from two cycles after ``begin`` on
    opened : Out(1), the layer begins; closed : Out(1), it has ended, and the next one waits for ``reported`` : In(1)

    **Latency**: a cycle for every word of the program; three more for a layer, and three for a group beside its walk.
    """

    def __init__(self, *, config: SerialConfig):
        self.config = config
        super().__init__(
            {
                "enable": Out(1),
                "address": Out(range(config.store_depth)),
                "data": In(STORE_BITS),
                "base": In(range(config.store_depth)),
                "start": In(1),
                "busy": Out(1),
                "done": Out(1),
                "layer": Out(descriptor_layout(config)),
                "number": Out(8),
                "group": Out(group_shape()),
                "parameters": Out(stream.Signature(parameter_fill(config), always_ready=True)),
                "weights": Out(stream.Signature(fill_layout(config), always_ready=True)),
                "begin": Out(1),
                "finished": In(1),
                "opened": Out(1),
                "closed": Out(1),
                "reported": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        pointer, part, reading = Signal.like(self.address), Signal(Part), Signal()
        m.d.comb += [self.address.eq(pointer), self.enable.eq(reading)]
        with m.If(reading):
            m.d.sync += pointer.eq(pointer + 1)
        # The place of the word that is asked for, and of the one that is there.
        entry, last = self._count(m, part, reading)
        here, arrived = Signal(Part, init=Part.NOWHERE), Signal.like(entry)
        m.d.sync += [here.eq(Mux(reading, part, Part.NOWHERE)), arrived.eq(entry)]
        self._run(m, pointer, part, last, reading)
        self._deliver(m, here, arrived)
        return m

    def _count(self, m, part, reading):
        """Count the words of a part; return the place of each, and whether it is the last one."""
        config, layer = self.config, self.layer
        within, bits = (config.row_parts - 1).bit_length(), channel_shape(config).width
        entry, word, last = Signal(ROWS_BITS + within), Signal(word_shape(config)), Signal()
        following, row = entry + 1, entry[within:]
        sizes = {
            Part.DESCRIPTOR: descriptor_words(config),
            Part.PARAMETERS: Mux(layer.both, 4 * config.lanes, 2 * config.lanes),
        }
        with m.Switch(part):
            for name, size in sizes.items():
                with m.Case(name):
                    m.d.comb += last.eq(following == size)
            with m.Default():
                m.d.comb += last.eq((row == layer.last_row) & entry[:within].all())
        with m.If(reading):
            m.d.sync += entry.eq(following)
            with m.If((part == Part.WEIGHTS) & entry[:within].all()):
                ends = word == layer.last_word
                with m.If(row[:bits].all() | (ends & (row[:bits] == layer.last_input))):
                    m.d.sync += [entry.eq(Cat(Const(0, within + bits), row[bits:] + 1)), word.eq(word + 1)]
                    with m.If(ends):
                        m.d.sync += word.eq(0)
            with m.If(last):
                m.d.sync += [entry.eq(0), word.eq(0)]
        return entry, last

    def _run(self, m, pointer, part, last, reading):
        """The states of a program."""
        layer, wait = self.layer, Signal()
        m.d.comb += self.busy.eq(1)
        m.d.sync += self.done.eq(0)
        weighted = (layer.mode == Mode.DENSE) | (layer.mode == Mode.DEPTHWISE)
        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.busy.eq(0)
                with m.If(self.start):
                    m.d.sync += [pointer.eq(self.base), part.eq(Part.DESCRIPTOR), self.number.eq(0)]
                    m.next = "descriptor"
            with m.State("descriptor"):
                m.d.comb += reading.eq(1)
                with m.If(last):
                    m.d.sync += [self.group.eq(0), part.eq(Part.PARAMETERS)]
                    m.next = "arrive"
            with m.State("arrive"):
                m.next = "open"
            with m.State("open"):
                m.d.comb += self.opened.eq(1)
                m.next = "parameters"
            with m.State("parameters"):
                m.d.comb += reading.eq(1)
                with m.If(last):
                    m.d.sync += part.eq(Part.WEIGHTS)
                    m.next = "weights"
            with m.State("weights"):
                m.d.comb += reading.eq(weighted)
                with m.If(last | ~weighted):
                    m.d.sync += [part.eq(Part.PARAMETERS), wait.eq(0)]
                    m.next = "begin"
            with m.State("begin"):
                m.d.comb += self.begin.eq(~wait)
                m.d.sync += wait.eq(1)
                with m.If(wait):
                    m.next = "walk"
            with m.State("walk"):
                with m.If(self.finished):
                    m.d.sync += self.group.eq(self.group + 1)
                    m.next = "parameters"
                    with m.If(self.group == layer.last_group):
                        m.next = "close"
            with m.State("close"):
                m.d.comb += self.closed.eq(1)
                with m.If(self.reported):
                    m.d.sync += [part.eq(Part.DESCRIPTOR), self.number.eq(self.number + 1)]
                    m.next = "descriptor"
                    with m.If(layer.final):
                        m.d.sync += self.done.eq(1)
                        m.next = "idle"

    def _deliver(self, m, here, arrived):
        """Bring the word that is there to where it belongs."""
        config, bits = self.config, channel_shape(self.config).width
        words, size = Signal(STORE_BITS * descriptor_words(config)), descriptor_words(config)
        with m.If(here == Part.DESCRIPTOR):
            m.d.sync += words.eq(Cat(words[STORE_BITS:], self.data) if size > 1 else self.data)
        parameters, weights = self.parameters.payload, self.weights.payload
        parts = (config.row_parts - 1).bit_length()
        m.d.comb += [
            self.layer.as_value().eq(words),
            self.parameters.valid.eq(here == Part.PARAMETERS),
            parameters.threshold.eq(arrived[0]),
            parameters.channel.eq(arrived[1 : 1 + bits]),
            parameters.tile.eq(arrived[1 + bits]),
            parameters.data.eq(self.data),
            self.weights.valid.eq(here == Part.WEIGHTS),
            weights.part.eq(arrived[:parts]),
            weights.row.eq(arrived[parts:]),
            weights.data.eq(self.data),
        ]
