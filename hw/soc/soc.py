"""The system on a chip: core, registers, firmware and serial line around the accelerator."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

from amaranth import Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.accelerator import Accelerator
from hw.config import HardwareConfig
from hw.memory.axi import memory_signature
from hw.soc.bank import RegisterBank
from hw.soc.bus import BusDecoder
from hw.soc.cpu import PICORV32, Core
from hw.soc.guard import MemoryGuard
from hw.soc.memory_port import MemoryPort
from hw.soc.ram import BusMemory
from hw.soc.registers import REGISTERS
from hw.soc.results import ResultQueue
from hw.soc.uart import Receiver, Sender

FIRMWARE_BYTES = 16 * 1024
"""Memory of the core: code, data and stack, twice what they are linked for. With half of it the ULX3S was not routed
with its first two seeds; four block RAMs more cost nothing there."""

SELECT_BITS = 4
TARGETS = {"firmware": 0x0, "registers": 0x1, "program": 0x4}
"""What the highest bits of an address of the core say."""

ITEMS, ROOM = 128, 18
"""Depth of the queue of input items, and how many places are free when the firmware may write 16: two are on their way
while it asks."""

BYTES = 512
"""Depth of the queue of received bytes: two frames, because the host waits for its answers."""


def build_hash(config: HardwareConfig) -> int:
    """What the register BUILD says: the first 32 bits of the SHA-256 of the hardware configuration as JSON."""
    text = json.dumps(asdict(config), sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


class Soc(wiring.Component):
    """The accelerator as a device on a serial line.

    ::

        serial line -- Receiver, Sender --+
        Core -- BusDecoder --+-- RegisterBank -- Accelerator
                             +-- BusMemory        |
                             +-- MemoryPort ------+-- MemoryGuard -- program memory

    A break on the line (16 bits of 0) resets the core, the accelerator and all queues: the host gets hold of the board
    whatever state it is in. A break of twice that length also outlasts the byte that was being sent. Program memory
    keeps its contents.

    Parameters
    ----------
    config : the accelerator
    hertz : frequency of the clock, for the register CLOCK
    divisor : cycles of a bit on the serial line
    memory_bytes : size of the program memory
    firmware : words that the core starts with

    Members
    -------
    receive : In(1), send : Out(1), the serial line
    memory : Out(`hw.memory.axi.memory_signature`), the program memory
    trap : Out(1), the core stands still

    Latency and throughput: those of the firmware.
    """

    foreign = (PICORV32,)

    def __init__(self, *, config: HardwareConfig, hertz: int, divisor: int, memory_bytes: int, firmware: Sequence[int]):
        self.config, self._hertz = config, hertz
        self._divisor, self._memory_bytes, self._firmware = divisor, memory_bytes, firmware
        super().__init__(
            {
                "receive": In(1, init=1),
                "send": Out(1, init=1),
                "memory": Out(memory_signature(config.bus_bytes)),
                "trap": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = Receiver(divisor=self._divisor)
        m.submodules.guard = guard = MemoryGuard(config=self.config)
        inside = Module()
        pause, held = Signal(), Signal()
        m.d.sync += pause.eq(receiver.pause)
        connect(m, guard.outer, flipped(self.memory))
        m.d.comb += [
            receiver.line.eq(self.receive),
            guard.forget.eq(pause),
            # Until the memory has answered all that was asked before.
            held.eq(pause | guard.closed),
        ]
        self._inside(inside, receiver, guard, held)
        m.submodules.inside = ResetInserter(held)(inside)
        return m

    def _inside(self, m, receiver, guard, held):
        """Everything that a break resets."""
        m.submodules.core = core = Core()
        m.submodules.decoder = decoder = BusDecoder(targets=TARGETS, select_bits=SELECT_BITS)
        m.submodules.firmware = firmware = BusMemory(depth=FIRMWARE_BYTES // 4, init=self._firmware)
        m.submodules.bank = bank = RegisterBank(registers=REGISTERS)
        m.submodules.port = port = MemoryPort(config=self.config, address_bits=len(decoder.program.address))
        connect(m, core.bus, decoder.bus)
        for target, part in ((decoder.firmware, firmware.bus), (decoder.registers, bank.bus)):
            # Each has fewer words than its place.
            m.d.comb += [part.address.eq(target.address), target.ready.eq(part.ready), target.answer.eq(part.answer)]
            m.d.comb += [getattr(part, name).eq(getattr(target, name)) for name in ("valid", "mask", "data")]
        connect(m, decoder.program, port.core)
        connect(m, port.memory, guard.inner)
        m.d.comb += [core.reset.eq(held), self.trap.eq(core.trap)]
        self._describe(m, bank)
        self._sum_up(m, bank)
        self._serial(m, bank, receiver)
        self._accelerate(m, bank, port)

    def _describe(self, m, bank):
        """What never changes, and the clock."""
        cycles, config = Signal(32), self.config
        m.d.sync += cycles.eq(cycles + 1)
        m.d.comb += [
            bank.build_hash.eq(build_hash(config)),
            bank.shape_lanes.eq(config.lanes),
            bank.shape_timesteps.eq(config.timesteps),
            bank.shape_beat_channels.eq(config.beat_channels),
            bank.shape_bus_bytes.eq(config.bus_bytes),
            bank.memory_bytes.eq(self._memory_bytes),
            bank.cycles_value.eq(cycles),
            bank.clock_hertz.eq(self._hertz),
        ]

    def _sum_up(self, m, bank):
        """The CRC-32 of frames and memory: in software it would be the most of what a byte takes."""
        m.submodules.crc = crc = CRC32_ETHERNET(data_width=8).create()
        m.d.comb += [
            crc.valid.eq(bank.crc_byte_data.valid),
            crc.data.eq(bank.crc_byte_data.payload),
            crc.start.eq(bank.crc_byte_data.valid & bank.crc_byte_first.payload),
            bank.crc_value.eq(crc.crc),
        ]

    def _serial(self, m, bank, receiver):
        """Queue the bytes that arrive, and send those of the firmware."""
        m.submodules.sender = sender = Sender(divisor=self._divisor)
        m.submodules.received = received = SyncFIFOBuffered(width=8, depth=BYTES)
        lost, waiting = Signal(), Signal()
        m.d.comb += [
            received.w_data.eq(receiver.o.payload),
            received.w_en.eq(receiver.o.valid),
            received.r_en.eq(bank.received_data_read),
            bank.received_data.eq(received.r_data),
            bank.received_valid.eq(received.r_rdy),
            bank.serial_send_room.eq(~waiting & ~bank.send_data.valid),
            bank.serial_lost.eq(lost),
            sender.i.valid.eq(waiting),
            self.send.eq(sender.line),
        ]
        m.d.sync += lost.eq((lost & ~bank.serial_lost_read) | receiver.wrong | (receiver.o.valid & ~received.w_rdy))
        with m.If(bank.send_data.valid):
            m.d.sync += [waiting.eq(1), sender.i.payload.eq(bank.send_data.payload)]
        with m.Elif(sender.i.ready):
            m.d.sync += waiting.eq(0)

    def _accelerate(self, m, bank, port):
        """Give the accelerator its items and its program, and keep what it says until the firmware takes it."""
        accelerator = Accelerator(config=self.config)
        results = ResultQueue(config=self.config)
        items = SyncFIFOBuffered(width=len(accelerator.pixels.payload), depth=ITEMS)
        cleared = {"accelerator": accelerator, "results": results, "items": items}
        for name, part in cleared.items():
            m.submodules[name] = ResetInserter(bank.control_reset)(part)
        connect(m, accelerator.bus, port.accelerator)
        connect(m, accelerator.logits, results.logits)
        connect(m, accelerator.counters, results.counters)
        lost = Signal()
        m.d.comb += [
            items.w_data.eq(bank.input_item.payload),
            items.w_en.eq(bank.input_item.valid),
            accelerator.pixels.payload.eq(items.r_data),
            accelerator.pixels.valid.eq(items.r_rdy),
            items.r_en.eq(accelerator.pixels.ready),
            accelerator.start.eq(bank.control_start),
            accelerator.base.eq(bank.program_address),
            accelerator.words.eq(bank.program_words_words),
            port.forget.eq(bank.control_reset),
            bank.status_busy.eq(accelerator.busy | bank.control_start),
            bank.status_error.eq(accelerator.error),
            bank.status_item_room.eq(items.w_level < ITEMS - ROOM),
            bank.status_logit_waits.eq(results.logit_waits),
            bank.status_counter_waits.eq(results.counter_waits),
            bank.status_lost.eq(lost | results.lost),
            bank.logit_value.eq(results.logit),
            results.take_logit.eq(bank.logit_value_read),
            bank.counter_layer.eq(results.counter.layer),
            bank.counter_index.eq(results.counter.index),
            bank.counter_high.eq(results.counter.value[32:]),
            bank.counter_low_low.eq(results.counter.value),
            results.take_counter.eq(bank.counter_low_low_read),
        ]
        with m.If(bank.control_reset):
            m.d.sync += lost.eq(0)
        with m.Elif(bank.input_item.valid & ~items.w_rdy):
            m.d.sync += lost.eq(1)
