"""What every SoC has around its accelerator: core, registers, firmware and serial line."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect

from hw.config import HardwareConfig
from hw.serial.config import SerialConfig
from hw.soc.bank import RegisterBank
from hw.soc.bus import WORD_BITS, BusDecoder, connect_words
from hw.soc.cpu import PICORV32, Core
from hw.soc.ram import BusMemory
from hw.soc.registers import REGISTERS
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


def build_hash(config: HardwareConfig | SerialConfig) -> int:
    """What the register BUILD says: the first 32 bits of the SHA-256 of the hardware configuration as JSON."""
    text = json.dumps(asdict(config), sort_keys=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


class System(wiring.Component):
    """A SoC without its accelerator: what it adds is in `_accelerate` of those that have one.

    Parameters
    ----------
    config : the accelerator
    hertz : frequency of the clock, for the register CLOCK
    divisor : cycles of a bit on the serial line
    memory_bytes : size of the program memory
    firmware : words that the core starts with
    firmware_bytes : memory of the core
    members : further members

    Members
    -------
    receive : In(1), send : Out(1), the serial line
    trap : Out(1), the core stands still

    Latency and throughput: those of the firmware.
    """

    foreign = (PICORV32,)

    def __init__(
        self,
        *,
        config: HardwareConfig | SerialConfig,
        hertz: int,
        divisor: int,
        memory_bytes: int,
        firmware: Sequence[int],
        firmware_bytes: int = FIRMWARE_BYTES,
        members: dict[str, wiring.Member] | None = None,
    ):
        self.config, self._hertz = config, hertz
        self._divisor, self._memory_bytes = divisor, memory_bytes
        self._firmware, self._firmware_bytes = firmware, firmware_bytes
        line = {"receive": In(1, init=1), "send": Out(1, init=1)}
        super().__init__(line | (members or {}) | {"trap": Out(1)})

    def _begin(self, m: Module) -> tuple[Core, RegisterBank, BusDecoder]:
        """The core and what is on its bus; return it, the registers, and its bus to everything else."""
        m.submodules.core = core = Core()
        m.submodules.decoder = decoder = BusDecoder(targets=TARGETS, select_bits=SELECT_BITS)
        memory = self._core_memory(m)
        m.submodules.bank = bank = RegisterBank(registers=REGISTERS)
        connect(m, core.bus, decoder.bus)
        if memory is not None:
            connect_words(m, decoder.firmware, memory)
        connect_words(m, decoder.registers, bank.bus)
        return core, bank, decoder

    def _core_memory(self, m: Module) -> wiring.PureInterface | None:
        """Add the memory of the core; return its bus, or None where it is not here."""
        m.submodules.firmware = firmware = BusMemory(depth=self._firmware_bytes // 4, init=self._firmware)
        return firmware.bus

    def _attend(self, m: Module, core: Core, bank: RegisterBank, receiver: Receiver, held: Signal) -> None:
        """Connect the core's reset, and the registers but for those of the accelerator."""
        m.d.comb += [core.reset.eq(held), self.trap.eq(core.trap)]
        self._describe(m, bank)
        self._sum_up(m, bank)
        self._serial(m, bank, receiver)

    def _describe(self, m, bank):
        """What never changes, and the clock."""
        cycles, config = Signal(32), self.config
        m.d.sync += cycles.eq(cycles + 1)
        m.d.comb += [
            bank.build_hash.eq(build_hash(config)),
            bank.shape_lanes.eq(config.lanes),
            bank.shape_timesteps.eq(config.timesteps),
            bank.shape_beat_channels.eq(getattr(config, "beat_channels", 1)),
            bank.shape_bus_bytes.eq(getattr(config, "bus_bytes", WORD_BITS // 8)),
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

    def _feed(self, m: Module, bank: RegisterBank, items: SyncFIFOBuffered, pixels) -> Signal:
        """Put a queue of input items in front of a stream; return whether one was lost."""
        lost = Signal()
        m.d.comb += [
            items.w_data.eq(bank.input_item.payload),
            items.w_en.eq(bank.input_item.valid),
            pixels.payload.eq(items.r_data),
            pixels.valid.eq(items.r_rdy),
            items.r_en.eq(pixels.ready),
        ]
        with m.If(bank.control_reset):
            m.d.sync += lost.eq(0)
        with m.Elif(bank.input_item.valid & ~items.w_rdy):
            m.d.sync += lost.eq(1)
        return lost
