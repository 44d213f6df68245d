"""What follows the lanes: folds, biases, the residual stream and the neurons, one value a cycle."""

from itertools import pairwise

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import STREAM_BITS
from hw.memory.memory import block_memory, read_block
from hw.serial.config import (
    STORE_BITS,
    SerialConfig,
    address_shape,
    channel_shape,
    current_shape,
    group_shape,
    place_layout,
    spike_address,
    step_shape,
    stream_address,
)
from hw.serial.program import Fold, Mode, bias_layout, descriptor_layout


def parameter_fill(config: SerialConfig) -> data.StructLayout:
    """A word of the program store: bias and shift, or the ``threshold``, of a channel of the positions or the tiles."""
    return data.StructLayout(
        {"threshold": 1, "channel": channel_shape(config), "tile": 1, "data": STORE_BITS},
    )


def spikes_layout(config: SerialConfig) -> data.StructLayout:
    """A word on its way to spike memory."""
    return data.StructLayout({"address": address_shape(config), "data": config.lanes})


def logit_layout(config: SerialConfig) -> data.StructLayout:
    """A current of the classifier."""
    return data.StructLayout(
        {"group": group_shape(), "channel": channel_shape(config), "step": step_shape(), "data": current_shape(config)}
    )


def stream_layout(config: SerialConfig) -> data.StructLayout:
    """A value on its way to the residual stream."""
    return data.StructLayout({"address": range(config.stream_depth), "data": signed(STREAM_BITS)})


class _Stage:
    """What accompanies a value: ``tile`` marks one of a folded tile, ``again`` one that comes from the fold alone."""

    def __init__(self, config: SerialConfig, number: int):
        self.valid = Signal(name=f"valid_{number}")
        self.channel = Signal(channel_shape(config), name=f"channel_{number}")
        self.last = Signal(name=f"last_{number}")
        self.tile = Signal(name=f"tile_{number}")
        self.again = Signal(name=f"again_{number}")
        self.step = Signal(step_shape(), name=f"step_{number}")

    def follow(self, other: "_Stage") -> list:
        """Assignments that make it the same as another."""
        return [getattr(self, name).eq(getattr(other, name)) for name in vars(self)]


class Firing(wiring.Component):
    """Takes the sums of a group at a position and timestep, channel by channel, to where the descriptor says.

    A fold gathers them over the positions of a tile, or over bit-planes. At the last position of a tile the folded sum
    takes the place of its own; where there are bit-planes, or positions have neurons too, folded sums follow instead
    as passes of their own, one for each timestep. A current is the sum plus the bias. Neurons start a position or
    tile with an empty membrane.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    layer, group : In, the descriptor and the group of output channels; constant while busy
    restart : In(1), the first tile comes next
    fill : In(stream of `parameter_fill`, always ready), parameters of the group; not while busy
    place : In(stream of `place_layout`), the sums of a position are there
    sum : In(signed(acc_bits)), shift : Out(1), that of the first channel two cycles after ``place`` was taken, that of
        the next one in the cycle after ``shift``; not looked at where the layer reads the stream
    stream_read : Out(1), stream_address : Out, read the residual stream ...
    stream_data : In(signed(16)), ... and have the value one cycle later
    stream_write : Out(stream of `stream_layout`, always ready), never in the cycle of a read
    spikes : Out(stream of `spikes_layout`, always ready), the words of positions and tiles
    logits : Out(stream of `logit_layout`, always ready)
    saturated : Out(1), a value of the stream was clamped, in the cycle in which it is written
    busy : Out(1)

    **Latency**: a value leaves four cycles after the one in which it was its turn, a word one after that of its last
    channel. **Throughput**: one a cycle, or one every
    other where the stream is added to, whose memory has one port.
    """

    def __init__(self, *, config: SerialConfig):
        self.config = config
        super().__init__(
            {
                "layer": In(descriptor_layout(config)),
                "group": In(group_shape()),
                "restart": In(1),
                "fill": In(stream.Signature(parameter_fill(config), always_ready=True)),
                "place": In(stream.Signature(place_layout(config))),
                "sum": In(signed(config.acc_bits)),
                "shift": Out(1),
                "stream_read": Out(1),
                "stream_address": Out(range(config.stream_depth)),
                "stream_data": In(signed(STREAM_BITS)),
                "stream_write": Out(stream.Signature(stream_layout(config), always_ready=True)),
                "spikes": Out(stream.Signature(spikes_layout(config), always_ready=True)),
                "logits": Out(stream.Signature(logit_layout(config), always_ready=True)),
                "saturated": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, layer = self.config, self.layer
        # Turn, fold, bias, stream, neuron.
        stages = [_Stage(config, number) for number in range(5)]
        for before, after in pairwise(stages):
            m.d.sync += after.follow(before)
        place, active = Signal(place_layout(config)), Signal()
        tile_row, tile_column = self._turn(m, stages[0], place, active)
        value = self._fold(m, *stages[:2], place)
        current, shift = self._add_bias(m, stages[1], value)
        # The first value tells where all of its pass go; by then the last ones of the pass before have left.
        where, tile = Signal(place_layout(config)), stages[3].tile
        with m.If(stages[3].valid & (stages[3].channel == 0)):
            m.d.sync += [
                where.row.eq(Mux(tile, tile_row, place.row)),
                where.column.eq(Mux(tile, tile_column, place.column)),
                where.step.eq(stages[3].step),
            ]
        adds = layer.position.add
        channel = Mux(adds, stages[1].channel, stages[0].channel)
        m.d.comb += [
            self.stream_read.eq(Mux(adds, stages[1].valid, stages[0].valid & (layer.mode == Mode.POOL))),
            self.stream_address.eq(self._stream_address(place, channel)),
            self.busy.eq(active | Cat(stage.valid for stage in stages[1:]).any() | self.spikes.valid),
        ]
        neuron = self._stream(m, *stages[3:], current, shift, where)
        self._fire(m, *stages[3:], neuron, where)
        return m

    def _target(self, stage):
        """What happens to the values of a stage."""
        target = Mux(stage.tile, self.layer.tile.as_value(), self.layer.position.as_value())
        return data.View(self.layer.tile.shape(), target)

    def _stream_address(self, place, channel):
        return stream_address(
            self.config, step=place.step, row=place.row, column=place.column, group=self.group, channel=channel
        )

    def _turn(self, m, first, place, active):
        """Decide whose turn it is; return row and column of the tile."""
        layer, step = self.layer, Signal(step_shape())
        row, column = Signal.like(place.row), Signal.like(place.column)
        odd, last, again, ends = Signal(), Signal(), Signal(), Signal()
        final = Signal()  # the last value of the last pass of this place
        queued, waits = Signal.like(place), Signal()
        # Where the stream is added to, its memory is read in odd cycles and written in even ones.
        advances = active & (odd | ~layer.position.add)
        most = Mux(self.group == layer.last_group, layer.last_channel, self.config.lanes - 1)
        # Bit-planes are the current of every timestep; positions with neurons of their own come before their tile.
        repeats = layer.both | (layer.fold == Fold.BITS)
        m.d.sync += odd.eq(~odd)
        m.d.comb += [
            again.eq(place.last & (place.step == layer.last_step) & repeats),
            ends.eq(advances & final),
            first.valid.eq(active & ~(odd & layer.position.add)),
            first.last.eq(last),
            first.step.eq(Mux(first.again, step, place.step)),
            first.tile.eq(first.again | (place.last & (layer.fold != Fold.NONE) & ~repeats)),
            # While folded sums are repeated, the next ones can come out of the lanes already.
            self.place.ready.eq(~waits & (~active | final | first.again) & (odd | ~layer.position.add)),
        ]
        with m.If(advances):
            # Known a cycle before it is asked; a pass has `LEAST_CHANNELS`, so that the first is never the last.
            m.d.sync += [
                last.eq(first.channel + 1 == most),
                final.eq((first.channel + 1 == most) & Mux(first.again, step == layer.last_tile_step, ~again)),
                first.channel.eq(Mux(last, 0, first.channel + 1)),
            ]
            with m.If(last):
                m.d.sync += [step.eq(Mux(first.again, step + 1, 0)), first.again.eq(~ends)]
        with m.If(ends):
            m.d.sync += active.eq(0)
            with m.If(first.tile & (first.step == layer.last_tile_step)):
                m.d.sync += column.eq(column + 1)
                with m.If(place.column == layer.last):
                    m.d.sync += [column.eq(0), row.eq(row + 1)]
        with m.If(self.place.valid & self.place.ready):
            m.d.sync += [queued.eq(self.place.payload), waits.eq(active & ~ends)]
            with m.If(~active | ends):
                m.d.sync += [active.eq(1), place.eq(self.place.payload)]
        with m.Elif(waits & ends):
            m.d.sync += [active.eq(1), place.eq(queued), waits.eq(0)]
        with m.If(self.restart):
            m.d.sync += [row.eq(0), column.eq(0)]
        return row, column

    def _fold(self, m, first, second, place):
        """Combine a sum with those before it; return it, or the folded one, a stage on."""
        config, layer, width = self.config, self.layer, self.config.current_bits
        bits, steps = layer.fold == Fold.BITS, (config.timesteps - 1).bit_length()
        m.submodules.folded = folded = block_memory(shape=current_shape(config), depth=config.timesteps * config.lanes)

        def index(stage):
            return Cat(stage.channel, stage.step[:steps] & (~bits).replicate(steps))

        before = read_block(m, folded, address=index(first), undefined=True)
        opens, value = Signal(), Signal(signed(config.acc_bits))
        m.d.sync += opens.eq(Mux(bits, place.step == 0, place.first))
        pooled = layer.mode == Mode.POOL
        base = Mux(opens, 0, Mux(bits, before << 1, before))[:width].as_signed()
        greater = Mux(opens | (value > before), value, before)
        total = Mux(layer.fold == Fold.MAX, greater, base + value)[:width].as_signed()
        write, result = folded.write_port(), Signal(current_shape(config))
        m.d.comb += [
            value.eq(Mux(pooled, self.stream_data, self.sum)),
            self.shift.eq(second.valid & ~second.again & ~pooled),
            write.addr.eq(index(second)),
            write.data.eq(total),
            write.en.eq(second.valid & ~second.again),
        ]
        m.d.sync += result.eq(Mux(second.again, before, Mux(second.tile, total, value)))
        return result

    def _add_bias(self, m, second, value):
        """Add the bias; return the current, and by how much it is shifted, a stage on."""
        parameters = self._parameters(m, "biases", bias_layout(self.config), second, threshold=0)
        current, shift = Signal(current_shape(self.config)), Signal.like(parameters.shift)
        m.d.sync += [current.eq(value + parameters.bias), shift.eq(parameters.shift)]
        return current, shift

    def _parameters(self, m, name, shape, stage, *, threshold):
        """A parameter of the channel of a stage, a stage later."""
        m.submodules[name] = memory = block_memory(shape=shape, depth=2 * self.config.lanes)
        write, fill = memory.write_port(), self.fill.payload
        m.d.comb += [
            write.addr.eq(Cat(fill.channel, fill.tile)),
            Value.cast(write.data).eq(fill.data),
            write.en.eq(self.fill.valid & (fill.threshold == threshold)),
        ]
        return read_block(m, memory, address=Cat(stage.channel, stage.tile & self.layer.both), undefined=True)

    def _stream(self, m, fourth, fifth, current, shift, where):
        """Add the current to the residual stream; return what the neurons see, a stage on."""
        target, before = self._target(fourth), Signal(signed(STREAM_BITS))
        m.d.sync += before.eq(self.stream_data)
        exact = Mux(target.add, before, 0) + (current << shift)
        least, most = -(1 << STREAM_BITS - 1), (1 << STREAM_BITS - 1) - 1
        low, high = exact < least, exact > most
        clamped = Mux(low, least, Mux(high, most, exact))[:STREAM_BITS].as_signed()
        written, value, writes = Signal(signed(STREAM_BITS)), Signal(current_shape(self.config)), Signal()
        m.d.sync += [
            written.eq(clamped),
            writes.eq(fourth.valid & target.write),
            value.eq(Mux(target.add, clamped, current)),
            self.saturated.eq(fourth.valid & target.write & (low | high)),
        ]
        m.d.comb += [
            self.stream_write.valid.eq(writes),
            self.stream_write.payload.data.eq(written),
            self.stream_write.payload.address.eq(self._stream_address(where, fifth.channel)),
            self.logits.valid.eq(fourth.valid & target.logits),
            self.logits.payload.group.eq(self.group),
            self.logits.payload.channel.eq(fourth.channel),
            self.logits.payload.step.eq(fourth.step),
            self.logits.payload.data.eq(current),
        ]
        return value

    def _fire(self, m, fourth, fifth, value, where):
        """Update the neuron of the channel, and gather the spikes of a word."""
        config, layer = self.config, self.layer
        m.submodules.membranes = membranes = block_memory(shape=current_shape(config), depth=config.lanes)
        before = read_block(m, membranes, address=fourth.channel, undefined=True)
        threshold = self._parameters(m, "thresholds", current_shape(config), fourth, threshold=1)
        fires, write = Signal(), membranes.write_port()
        m.d.sync += fires.eq(fourth.valid & self._target(fourth).fire)
        membrane = (Mux(fifth.step == 0, 0, before) + value).shift_right(1)
        spike = membrane >= threshold
        word, spikes = Signal(config.lanes), Signal(config.lanes)
        with m.If(fires):
            m.d.sync += word.eq(spikes)
        m.d.comb += [
            write.addr.eq(fifth.channel),
            write.data.eq(Mux(spike, 0, membrane)),
            write.en.eq(fires),
            spikes.eq(Mux(fifth.channel == 0, 0, word) | (spike << fifth.channel)),
        ]
        m.d.sync += [
            self.spikes.valid.eq(fires & fifth.last),
            self.spikes.payload.data.eq(spikes),
            self.spikes.payload.address.eq(
                spike_address(
                    config,
                    slot=Mux(fifth.tile, layer.tiles, layer.output),
                    small=Mux(fifth.tile, layer.small_tiles, layer.small_output),
                    step=where.step,
                    row=where.row,
                    column=where.column,
                    word=self.group,
                )
            ),
        ]
