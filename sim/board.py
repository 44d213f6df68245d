"""A board in simulation: the whole SoC, its program memory, and the other end of its serial line."""

from collections.abc import Sequence

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.config import HardwareConfig
from hw.soc.ram import ProgramMemory
from hw.soc.soc import Soc
from hw.soc.uart import Receiver, Sender

DIVISOR = 16
"""Cycles of a bit on the line: as fast as the firmware can listen."""


class SimulatedBoard(wiring.Component):
    """A SoC whose serial line ends in streams of bytes.

    Parameters
    ----------
    config : the accelerator
    memory_bytes : size of the program memory, a power of two
    firmware : words that the core starts with

    Members
    -------
    to_board : In(stream(8)), from_board : Out(stream(8), always ready), what the host sends and gets
    broken : In(1), the host keeps the line to the board at 0
    trap : Out(1), the core stands still
    """

    foreign = Soc.foreign

    def __init__(self, *, config: HardwareConfig, memory_bytes: int, firmware: Sequence[int]):
        self._config = config
        self._memory_bytes, self._firmware = memory_bytes, firmware
        super().__init__(
            {
                "to_board": In(stream.Signature(8)),
                "from_board": Out(stream.Signature(8, always_ready=True)),
                "broken": In(1),
                "trap": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.soc = soc = Soc(
            config=self._config, divisor=DIVISOR, memory_bytes=self._memory_bytes, firmware=self._firmware
        )
        m.submodules.memory = memory = ProgramMemory(config=self._config, size=self._memory_bytes)
        m.submodules.sender = sender = Sender(divisor=DIVISOR)
        m.submodules.receiver = receiver = Receiver(divisor=DIVISOR)
        connect(m, soc.memory, memory.bus)
        connect(m, flipped(self.to_board), sender.i)
        connect(m, receiver.o, flipped(self.from_board))
        m.d.comb += [
            soc.receive.eq(sender.line & ~self.broken),
            receiver.line.eq(soc.send),
            self.trap.eq(soc.trap),
        ]
        return m
