"""What a board is, and the design that goes onto it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from amaranth import ClockDomain, ClockSignal, Elaboratable, Module
from amaranth.build import Platform
from amaranth.lib import io, wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import connect

from hw.config import HardwareConfig
from hw.soc.ram import ProgramMemory
from hw.soc.soc import Soc


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board that the SoC can be built for.

    Parameters
    ----------
    name : as on the command line
    title : its name in full
    platform : makes the platform of ``amaranth-boards``, which knows the pins
    device : the FPGA, one of `hw.synth.devices.DEVICES`
    package : further options of nextpnr that select the device with its pins
    clock : makes the component between oscillator and SoC (``i``, ``o``, ``locked``), from the hertz of both
    hertz : frequency of the SoC
    baud : bits a second of the serial line
    hardware : the configuration of the accelerator, if none is asked for: a name of `hw.config.HARDWARE`
    memory_bytes : program memory inside the chip
    flasher : options of openFPGALoader that select the board
    """

    name: str
    title: str
    platform: Callable[[], Platform]
    device: str
    package: tuple[str, ...]
    clock: Callable[..., wiring.Component]
    hertz: int
    baud: int
    hardware: str
    memory_bytes: int
    flasher: tuple[str, ...]


class BoardDesign(Elaboratable):
    """The SoC on the pins of a board: clock, serial line, program memory.

    Parameters
    ----------
    board : the board
    config : the accelerator
    firmware : words that the core starts with
    """

    def __init__(self, *, board: Board, config: HardwareConfig, firmware: Sequence[int]):
        self._board, self._config, self._firmware = board, config, firmware

    def elaborate(self, platform):
        m, board = Module(), self._board
        oscillator = platform.request(platform.default_clk, 0, dir="-")
        m.submodules.oscillator = source = io.Buffer("i", oscillator)
        m.submodules.clock = clock = board.clock(source=int(platform.default_clk_frequency), target=board.hertz)
        m.domains.sync = ClockDomain()
        m.submodules.reset = ResetSynchronizer(~clock.locked)
        m.d.comb += [clock.i.eq(source.i), ClockSignal().eq(clock.o)]
        m.submodules.soc = soc = Soc(
            config=self._config,
            hertz=board.hertz,
            divisor=round(board.hertz / board.baud),
            memory_bytes=board.memory_bytes,
            firmware=self._firmware,
        )
        m.submodules.memory = memory = ProgramMemory(config=self._config, size=board.memory_bytes)
        connect(m, soc.memory, memory.bus)
        serial = platform.request("uart", 0, dir="-")
        m.submodules.receive = receive = io.Buffer("i", serial.rx)
        m.submodules.send = send = io.Buffer("o", serial.tx)
        m.d.comb += [soc.receive.eq(receive.i), send.o.eq(soc.send)]
        return m
