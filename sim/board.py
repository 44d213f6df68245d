"""A board in simulation: the whole SoC, its program memory, and the other end of its serial line."""

from collections.abc import Sequence

import numpy as np
from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import HardwareConfig
from hw.serial.config import SerialConfig
from hw.soc.choose import soc_for
from hw.soc.litedram import DATA_BYTES, Sdram
from hw.soc.ram import ProgramMemory
from hw.soc.serial import core_words
from hw.soc.system import System
from hw.soc.uart import Receiver, Sender
from sim.flash import FlashChip
from sim.native import NativeModel
from sim.sdram import SimulatedSdram, Violation

HERTZ = 50_000_000
"""What the board says of its clock: that of a small FPGA."""

DIVISOR = 8
"""Cycles of a bit on the line: a frame arrives faster than the firmware reads it, but not more than one at a time."""

CHUNK = 2000
"""Cycles between two looks at what the board has sent."""

CYCLES_PER_SECOND = 1_000_000
"""What a second of patience is worth."""


class SimulatedBoard(wiring.Component):
    """A SoC whose serial line ends in streams of bytes.

    Parameters
    ----------
    config : the accelerator; the serial one has its program memory inside
    memory_bytes : size of the program memory, a power of two; not looked at where it is inside
    firmware : words that the core starts with
    hertz : what the board says of its clock
    sdram : the chip that has the program memory, or None where it is inside
    flash : the byte of a flash chip that has the firmware, or None where it is inside

    Members
    -------
    to_board : In(stream(8)), from_board : Out(stream(8), always ready), what the host sends and gets
    broken : In(1), the host keeps the line to the board at 0
    trap : Out(1), the core stands still
    violations : Out, what the chip has been told and should not have been (`sim.sdram.Violation`)
    """

    def __init__(
        self,
        *,
        config: HardwareConfig | SerialConfig,
        memory_bytes: int,
        firmware: Sequence[int],
        hertz: int = HERTZ,
        sdram: Sdram | None = None,
        flash: int | None = None,
    ):
        self.foreign, self._memory, self._flash = System.foreign, None, None
        self._soc = soc_for(
            config=config,
            hertz=hertz,
            divisor=DIVISOR,
            memory_bytes=memory_bytes,
            firmware=firmware,
            flash=flash,
        )
        if flash is not None:
            self._flash = FlashChip(hertz=hertz, address=flash, words=core_words(firmware))
        if isinstance(config, HardwareConfig):
            self._memory = self._outside(config, memory_bytes, sdram, hertz)
        super().__init__(
            {
                "to_board": In(stream.Signature(8)),
                "from_board": Out(stream.Signature(8, always_ready=True)),
                "broken": In(1),
                "trap": Out(1),
                "violations": Out(len(Violation)),
            }
        )

    def _outside(self, config: HardwareConfig, size: int, sdram: Sdram | None, hertz: int) -> wiring.Component:
        """The program memory of an accelerator that has none inside."""
        if sdram is None:
            return ProgramMemory(config=config, size=size)
        memory = SimulatedSdram(config=config, sdram=sdram, hertz=hertz, words=size // DATA_BYTES)
        self.foreign += memory.foreign
        return memory

    def elaborate(self, platform):
        m = Module()
        m.submodules.soc = soc = self._soc
        if (memory := self._memory) is not None:
            m.submodules.memory = memory
            connect(m, soc.memory, memory.bus)
        m.submodules.sender = sender = Sender(divisor=DIVISOR)
        m.submodules.receiver = receiver = Receiver(divisor=DIVISOR)
        if self._flash is not None:
            m.submodules.flash = self._flash
            connect(m, soc.flash, self._flash.pins)
        connect(m, flipped(self.to_board), sender.i)
        connect(m, receiver.o, flipped(self.from_board))
        m.d.comb += [
            soc.receive.eq(sender.line & ~self.broken),
            receiver.line.eq(soc.send),
            self.trap.eq(soc.trap),
        ]
        if isinstance(memory, SimulatedSdram):
            m.d.comb += self.violations.eq(memory.violations)
        return m


class BoardLine:
    """The line to a board that is simulated, as `firmware.link.Line`: time is counted in its clock cycles.

    Parameters
    ----------
    model : `SimulatedBoard` under simulation
    """

    def __init__(self, model: NativeModel):
        self._model = model

    def send(self, content: bytes) -> None:
        """Send bytes, which the board gets as fast as the line is."""
        self._model.send("to_board", np.frombuffer(content, np.uint8))

    def receive(self, seconds: float) -> bytes:
        """Run the board until it has sent something, or the time is over; return what it has sent."""
        for _ in range(max(1, round(seconds * CYCLES_PER_SECOND / CHUNK))):
            self._model.step(CHUNK)
            if len(found := self._model.records("from_board")):
                self._model.clear()
                return bytes(found.values().tolist())
        return b""

    def clock(self) -> float:
        """Return the board's time."""
        return self._model.cycle / CYCLES_PER_SECOND

    def restart(self) -> None:
        """Hold the line at 0 until the board has reset itself, and what it was sending is over."""
        self._model.set("broken", 1)
        self._model.step(2 * Receiver.break_bits * DIVISOR)
        self._model.set("broken", 0)
        self._model.clear()
