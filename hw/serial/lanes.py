"""The lanes of the serial accelerator: one accumulator each, behind a weight buffer."""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import WEIGHT_BITS
from hw.memory.memory import block_memory, read_block
from hw.serial.config import STORE_BITS, SerialConfig, row_shape


def event_layout(config: SerialConfig) -> data.StructLayout:
    """A row of weights and the lanes that add it."""
    return data.StructLayout({"row": row_shape(config), "lanes": config.lanes})


def fill_layout(config: SerialConfig) -> data.StructLayout:
    """A word of the program store, as the ``part``-th of a row of weights."""
    return data.StructLayout({"row": row_shape(config), "part": range(max(2, config.row_parts)), "data": STORE_BITS})


class SerialLanes(wiring.Component):
    """Adds rows of weights up, and sends the sums channel by channel while the next are added.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    fill : In(stream of `fill_layout`, always ready), into the weight buffer; not while events come
    event : In(stream of `event_layout`, always ready), one event
    capture : In(1), the sums of all events so far leave, and new ones begin; never together with an event
    shift : In(1), the sum of the next channel, please; the last one is followed by anything
    sum : Out(signed(acc_bits)), modulo its range, units of the channel's weight scale

    **Latency**: the first sum is there two cycles after ``capture``, and stays until the cycle after ``shift``.
    **Throughput**: one event or capture a cycle.
    """

    def __init__(self, *, config: SerialConfig):
        self.config = config
        super().__init__(
            {
                "fill": In(stream.Signature(fill_layout(config), always_ready=True)),
                "event": In(stream.Signature(event_layout(config), always_ready=True)),
                "capture": In(1),
                "shift": In(1),
                "sum": Out(signed(config.acc_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        parts = [self._weights(m, part) for part in range(config.row_parts)]
        weights = Signal(data.ArrayLayout(signed(WEIGHT_BITS), config.lanes))
        chosen, captured = Signal(config.lanes), Signal()
        m.d.comb += weights.as_value().eq(Cat(parts))
        m.d.sync += [
            chosen.eq(self.event.payload.lanes & self.event.valid.replicate(config.lanes)),
            captured.eq(self.capture),
        ]
        sums = Signal(data.ArrayLayout(signed(config.acc_bits), config.lanes), reset_less=True)
        leaving = Signal.like(sums)
        for lane, weight in enumerate(weights):
            with m.If(captured):
                m.d.sync += sums[lane].eq(0)
            with m.Elif(chosen[lane]):
                m.d.sync += sums[lane].eq(sums[lane] + weight)
        with m.If(captured):
            m.d.sync += leaving.eq(sums)
        with m.Elif(self.shift):
            m.d.sync += leaving.as_value().eq(leaving.as_value() >> config.acc_bits)
        m.d.comb += self.sum.eq(leaving[0])
        return m

    def _weights(self, m, part):
        """One word of every row; it arrives a cycle after its row."""
        depth = self.config.weight_depth
        m.submodules[f"weights_{part}"] = memory = block_memory(shape=STORE_BITS, depth=depth)
        write = memory.write_port()
        m.d.comb += [
            write.addr.eq(self.fill.payload.row),
            write.data.eq(self.fill.payload.data),
            write.en.eq(self.fill.valid & (self.fill.payload.part == part)),
        ]
        return read_block(m, memory, address=self.event.payload.row, undefined=True)
