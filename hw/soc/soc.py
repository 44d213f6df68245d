"""The system on a chip: the accelerator with its program memory, beside a core and a serial line."""

from collections.abc import Sequence

from amaranth import Module, ResetInserter, Signal
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Out, connect, flipped

from hw.accelerator import Accelerator
from hw.config import HardwareConfig
from hw.memory.axi import memory_signature
from hw.soc.guard import MemoryGuard
from hw.soc.memory_port import MemoryPort
from hw.soc.results import ResultQueue
from hw.soc.system import ITEMS, ROOM, System
from hw.soc.uart import Receiver


class Soc(System):
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

    def __init__(self, *, config: HardwareConfig, hertz: int, divisor: int, memory_bytes: int, firmware: Sequence[int]):
        super().__init__(
            config=config,
            hertz=hertz,
            divisor=divisor,
            memory_bytes=memory_bytes,
            firmware=firmware,
            members={"memory": Out(memory_signature(config.bus_bytes))},
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
        core, bank, decoder = self._begin(m)
        m.submodules.port = port = MemoryPort(config=self.config, address_bits=len(decoder.program.address))
        connect(m, decoder.program, port.core)
        connect(m, port.memory, guard.inner)
        self._attend(m, core, bank, receiver, held)
        self._accelerate(m, bank, port)

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
        lost = self._feed(m, bank, items, accelerator.pixels)
        m.d.comb += [
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
