"""The system on a chip with the serial accelerator: everything is inside."""

from collections.abc import Sequence

from amaranth import C, Cat, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.errors import SaformerError
from hw.memory.single_port import SinglePort
from hw.serial.accelerator import COUNTERS, REPORT, SerialCore
from hw.serial.config import STORE_BITS, SerialConfig
from hw.soc.bus import ADDRESS_BITS, WORD_BITS, bus_signature, connect_words
from hw.soc.flash import FlashLoader, flash_signature
from hw.soc.system import ITEMS, ROOM, SELECT_BITS, System
from hw.soc.uart import Receiver

FIRMWARE_BYTES = 8 * 1024
"""Memory of the core: what the firmware is linked for, and no more, where block RAMs are few."""

FIRMWARE_WORDS = FIRMWARE_BYTES * 8 // WORD_BITS

LOGITS = 256
"""Logits that can wait: more than a network has classes times timesteps."""


def core_words(firmware: Sequence[int]) -> list[int]:
    """Return what the core's memory holds at the start: the firmware, and zeros."""
    return [*firmware, *[0] * (FIRMWARE_WORDS - len(firmware))]


class SharedStore(wiring.Component):
    """The program store between the accelerator, which reads it, and the core, which waits for it.

    Parameters
    ----------
    config : sizes of the accelerator
    address_bits : width of the core's addresses

    Members
    -------
    enable : In(1), address : In, data : Out, the accelerator's: an entry one cycle later, in every cycle
    bus : In(`hw.soc.bus.bus_signature`), the core's; where the store ends it begins again

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
        m.submodules.words = memory = SinglePort(
            width=STORE_BITS, depth=self._config.store_depth, granularity=STORE_BITS // len(self.bus.mask)
        )
        bus, asks = self.bus, Signal()
        m.d.comb += [
            asks.eq(bus.valid & ~bus.ready & ~self.enable),
            memory.enable.eq(self.enable | asks),
            memory.write.eq(Mux(asks, bus.mask, 0)),
            memory.address.eq(Mux(self.enable, self.address, bus.address)),
            memory.entry.eq(bus.data),
            self.data.eq(memory.data),
            bus.answer.eq(memory.data),
        ]
        m.d.sync += bus.ready.eq(asks)
        return m


def program_bytes(config: SerialConfig, flash: int | None) -> int:
    """Return the bytes of the store that programs have: all, or without those of the firmware."""
    return config.store_bytes if flash is None else config.store_bytes - FIRMWARE_BYTES


class FirmwareInStore(wiring.Component):
    """The end of the program store as memory of the core, filled from a flash chip after every reset.

    Parameters
    ----------
    config : sizes of the accelerator
    flash : the byte of the chip that has the first one of ``FIRMWARE_BYTES``

    Members
    -------
    pins : Out(`hw.soc.flash.flash_signature`), the chip
    firmware, program : In(`hw.soc.bus.bus_signature`), the core, which asks one of them at a time; not before ``done``
    store : Out(`hw.soc.bus.bus_signature`)
    done : Out(1), the firmware is there

    **Latency**: none. **Throughput**: that of the store.

    Raises SaformerError for a store that is no multiple of the firmware's size, or has no room beside it.
    """

    def __init__(self, *, config: SerialConfig, flash: int):
        if config.store_bytes % FIRMWARE_BYTES or config.store_bytes < 2 * FIRMWARE_BYTES:
            raise SaformerError(
                f"hardware: store_depth must be a multiple of {FIRMWARE_WORDS} and at least twice that where the "
                f"firmware is in the store, not {config.store_depth}"
            )
        self._first, self._flash = config.store_depth - FIRMWARE_WORDS, flash
        inner = bus_signature(ADDRESS_BITS - SELECT_BITS)
        buses = {"firmware": In(inner), "program": In(inner), "store": Out(inner)}
        super().__init__({"pins": Out(flash_signature()), **buses, "done": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.loader = loader = FlashLoader(address=self._flash, words=FIRMWARE_WORDS)
        connect(m, loader.pins, flipped(self.pins))
        m.d.comb += self.done.eq(loader.done)
        with m.If(~loader.done):
            self._end_of_store(m, loader.bus)
        with m.Elif(self.firmware.valid):
            self._end_of_store(m, self.firmware)
        with m.Else():
            connect_words(m, self.program, self.store)
        return m

    def _end_of_store(self, m, bus):
        connect_words(m, bus, self.store)
        inside = (FIRMWARE_WORDS - 1).bit_length()
        m.d.comb += self.store.address.eq(Cat(bus.address[:inside], C(self._first >> inside)))


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
    but its contents. With the firmware in a flash chip there is no BusMemory: `FirmwareInStore` makes the end of the
    store the core's memory, and the core begins when it is filled.

    Parameters
    ----------
    config : the accelerator
    hertz : frequency of the clock, for the register CLOCK
    divisor : cycles of a bit on the serial line
    firmware : words that the core starts with; not looked at where they are in a flash chip
    flash : the byte of the flash chip that has the first ``FIRMWARE_BYTES`` of the core's memory, or None

    Members
    -------
    receive : In(1), send : Out(1), the serial line
    flash : Out(`hw.soc.flash.flash_signature`), only where the firmware is in a chip
    trap : Out(1), the core stands still

    Latency and throughput: those of the firmware.
    """

    def __init__(
        self, *, config: SerialConfig, hertz: int, divisor: int, firmware: Sequence[int], flash: int | None = None
    ):
        self._flash = flash
        super().__init__(
            config=config,
            hertz=hertz,
            divisor=divisor,
            memory_bytes=program_bytes(config, flash),
            firmware=firmware,
            firmware_bytes=FIRMWARE_BYTES,
            members={} if flash is None else {"flash": Out(flash_signature())},
        )

    def elaborate(self, platform):
        m, inside, pause = Module(), Module(), Signal()
        m.submodules.receiver = receiver = Receiver(divisor=self._divisor)
        m.d.comb += receiver.line.eq(self.receive)
        m.d.sync += pause.eq(receiver.pause)
        core, bank, decoder = self._begin(inside)
        inside.submodules.store = store = SharedStore(config=self.config, address_bits=len(decoder.program.address))
        waits = self._fill_store(inside, decoder, store)
        self._attend(inside, core, bank, receiver, pause | waits)
        self._accelerate(inside, bank, store)
        m.submodules.inside = ResetInserter(pause)(inside)
        return m

    def _core_memory(self, m):
        return super()._core_memory(m) if self._flash is None else None

    def _fill_store(self, m, decoder, store):
        """Connect the core to the store; return whether it waits until its firmware is there."""
        if self._flash is None:
            connect(m, decoder.program, store.bus)
            return C(0)
        m.submodules.shared = shared = FirmwareInStore(config=self.config, flash=self._flash)
        connect(m, decoder.firmware, shared.firmware)
        connect(m, decoder.program, shared.program)
        connect(m, shared.store, store.bus)
        connect(m, shared.pins, flipped(self.flash))
        return ~shared.done

    def _accelerate(self, m, bank, store):
        """Give the accelerator its items and its program, and keep what it says until the firmware takes it."""
        accelerator, reader = SerialCore(config=self.config), CounterReader()
        items = SyncFIFOBuffered(width=len(accelerator.pixels.payload), depth=ITEMS)
        logits = SyncFIFOBuffered(width=self.config.current_bits, depth=LOGITS)
        for name, part in {"accelerator": accelerator, "reader": reader, "items": items, "logits": logits}.items():
            m.submodules[name] = ResetInserter(bank.control_reset)(part)
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
