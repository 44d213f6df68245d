"""The system on a chip with the serial accelerator: everything is inside."""

from collections.abc import Sequence

from amaranth import Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect

from hw.memory.single_port import SinglePort
from hw.serial.accelerator import COUNTERS, REPORT, SerialCore
from hw.serial.config import STORE_BITS, SerialConfig
from hw.soc.bus import WORD_BITS, bus_signature
from hw.soc.system import ITEMS, ROOM, System
from hw.soc.uart import Receiver

FIRMWARE_BYTES = 8 * 1024
"""Memory of the core: what the firmware is linked for, and no more, where block RAMs are few."""

LOGITS = 256
"""Logits that can wait: more than a network has classes times timesteps."""


class SharedStore(wiring.Component):
    """The program store between the accelerator, which reads it, and the core, which waits for it.

    Parameters
    ----------
    config : sizes of the accelerator

    Members
    -------
    enable : In(1), address : In, data : Out, the accelerator's: an entry one cycle later, in every cycle
    bus : In(`hw.soc.bus.bus_signature`), the core's; words are written whole, and where the store ends it begins again

    **Latency**: an answer in the cycle after the first one in which the accelerator does not read. **Throughput**: a
    request in two cycles. A reset leaves the contents.
    """

    def __init__(self, *, config: SerialConfig, address_bits: int):
        self._config = config
        super().__init__(
            {
                "enable": In(1),
                "address": In(range(config.store_depth)),
                "data": Out(STORE_BITS),
                "bus": In(bus_signature(address_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = memory = SinglePort(width=STORE_BITS, depth=self._config.store_depth)
        bus, asks = self.bus, Signal()
        m.d.comb += [
            asks.eq(bus.valid & ~bus.ready & ~self.enable),
            memory.enable.eq(self.enable | asks),
            memory.write.eq(asks & bus.mask.any()),
            memory.address.eq(Mux(self.enable, self.address, bus.address)),
            memory.entry.eq(bus.data),
            self.data.eq(memory.data),
            bus.answer.eq(memory.data),
        ]
        m.d.sync += bus.ready.eq(asks)
        return m


class CounterReader(wiring.Component):
    """The counters of a layer one after the other, while the next layer waits.

    Members
    -------
    i : In(stream of `hw.serial.accelerator.REPORT`)
    waits : Out(1), there is one; take : In(1), it has been read
    layer, index : Out(8), value : Out(32), what it is

    **Latency**: none. **Throughput**: one counter a cycle.
    """

    def __init__(self):
        super().__init__(
            {
                "i": In(stream.Signature(REPORT)),
                "waits": Out(1),
                "take": In(1),
                "layer": Out(8),
                "index": Out(8),
                "value": Out(WORD_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        index, report = Signal(range(len(COUNTERS))), self.i.payload
        last = index == len(COUNTERS) - 1
        m.d.comb += [
            self.waits.eq(self.i.valid),
            self.layer.eq(report.layer),
            self.index.eq(index),
            self.i.ready.eq(self.take & last),
        ]
        with m.Switch(index):
            for number, name in enumerate(COUNTERS):
                with m.Case(number):
                    m.d.comb += self.value.eq(report[name])
        with m.If(self.take):
            m.d.sync += index.eq(Mux(last, 0, index + 1))
        return m


class SerialSoc(System):
    """The serial accelerator as a device on a serial line, with the registers and the firmware of `hw.soc.soc.Soc`.

    ::

        serial line -- Receiver, Sender --+
        Core -- BusDecoder --+-- RegisterBank -- SerialCore
                             +-- BusMemory        |
                             +-- SharedStore -----+

    The program memory is the accelerator's store: the program, an input and the results share it. A break resets all
    but its contents.

    Parameters
    ----------
    config : the accelerator
    hertz : frequency of the clock, for the register CLOCK
    divisor : cycles of a bit on the serial line
    firmware : words that the core starts with

    Members
    -------
    receive : In(1), send : Out(1), the serial line
    trap : Out(1), the core stands still

    Latency and throughput: those of the firmware.
    """

    def __init__(self, *, config: SerialConfig, hertz: int, divisor: int, firmware: Sequence[int]):
        super().__init__(
            config=config,
            hertz=hertz,
            divisor=divisor,
            memory_bytes=config.store_bytes,
            firmware=firmware,
            firmware_bytes=FIRMWARE_BYTES,
        )

    def elaborate(self, platform):
        m, inside, pause = Module(), Module(), Signal()
        m.submodules.receiver = receiver = Receiver(divisor=self._divisor)
        m.d.comb += receiver.line.eq(self.receive)
        m.d.sync += pause.eq(receiver.pause)
        core, bank, program = self._begin(inside)
        self._attend(inside, core, bank, receiver, pause)
        self._accelerate(inside, bank, program)
        m.submodules.inside = ResetInserter(pause)(inside)
        return m

    def _accelerate(self, m, bank, program):
        """Give the accelerator its items and its program, and keep what it says until the firmware takes it."""
        accelerator, reader = SerialCore(config=self.config), CounterReader()
        m.submodules.store = store = SharedStore(config=self.config, address_bits=len(program.address))
        items = SyncFIFOBuffered(width=len(accelerator.pixels.payload), depth=ITEMS)
        logits = SyncFIFOBuffered(width=self.config.current_bits, depth=LOGITS)
        for name, part in {"accelerator": accelerator, "reader": reader, "items": items, "logits": logits}.items():
            m.submodules[name] = ResetInserter(bank.control_reset)(part)
        connect(m, program, store.bus)
        connect(m, accelerator.counters, reader.i)
        lost, overflow = self._feed(m, bank, items, accelerator.pixels), Signal()
        m.d.comb += [
            store.enable.eq(accelerator.enable),
            store.address.eq(accelerator.address),
            accelerator.data.eq(store.data),
            accelerator.base.eq(bank.program_address >> 2),
            accelerator.start.eq(bank.control_start),
            logits.w_data.eq(accelerator.logits.payload.data),
            logits.w_en.eq(accelerator.logits.valid),
            logits.r_en.eq(bank.logit_value_read),
            bank.status_busy.eq(accelerator.busy | bank.control_start),
            bank.status_item_room.eq(items.w_level < ITEMS - ROOM),
            bank.status_logit_waits.eq(logits.r_rdy),
            bank.status_counter_waits.eq(reader.waits),
            bank.status_lost.eq(lost | overflow),
            bank.logit_value.eq(logits.r_data.as_signed()),
            bank.counter_layer.eq(reader.layer),
            bank.counter_index.eq(reader.index),
            bank.counter_low_low.eq(reader.value),
            reader.take.eq(bank.counter_low_low_read),
        ]
        with m.If(bank.control_reset):
            m.d.sync += overflow.eq(0)
        with m.Elif(logits.w_en & ~logits.w_rdy):
            m.d.sync += overflow.eq(1)
