"""What a board is, and the design that goes onto it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from amaranth import ClockDomain, ClockSignal, Elaboratable, Module
from amaranth.build import Platform
from amaranth.lib import io, wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import connect

from hw.boards.sdram import SdramMemory
from hw.config import HardwareConfig
from hw.estimate.timelines import ON_CHIP, ExternalMemory
from hw.serial.config import SerialConfig
from hw.soc.choose import soc_for
from hw.soc.litedram import Sdram
from hw.soc.ram import ProgramMemory
from hw.soc.sdram import sdram_controller
from hw.soc.soc import Soc
from hw.soc.system import System


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
    clock : makes the component between oscillator and SoC (``i``, ``o``, ``locked``), from the hertz of both; for a
        board with SDRAM also the clock of the chip (``shifted``), from the degrees by which it is late
    hertz : frequency of the SoC
    baud : bits a second of the serial line
    hardware : the configuration of the accelerator, if none is asked for: a name of `hw.config.HARDWARE`
    memory_bytes : program memory, inside the chip or in the SDRAM; with a serial accelerator what its store
        has beside the firmware
    sdram : the chip outside that has the program memory, or None
    flash : the byte of the flash chip behind the bitstream from which on it has the firmware, for a serial accelerator
        on a device whose block RAMs have no room for it; or None
    flasher : options of openFPGALoader that select the board
    packing : further options of the command that makes the bitstream
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
    packing: tuple[str, ...] = ()
    sdram: Sdram | None = None
    flash: int | None = None

    @property
    def memory(self) -> ExternalMemory:
        """How fast its program memory is."""
        return ON_CHIP if self.sdram is None else ExternalMemory()


SDRAM_SHIFT = 90
"""Degrees by which the clock of an SDRAM is late: its commands have settled, and its words are there at the end of the
cycle. The value that LiteX's boards use at these clocks; it was not measured here."""


class BoardDesign(Elaboratable):
    """The SoC on the pins of a board: clock, serial line, program memory.

    Parameters
    ----------
    board : the board
    config : the accelerator
    firmware : words that the core starts with
    """

    def __init__(self, *, board: Board, config: HardwareConfig | SerialConfig, firmware: Sequence[int]):
        self._board, self._config = board, config
        self._soc = soc_for(
            config=config,
            hertz=board.hertz,
            divisor=round(board.hertz / board.baud),
            memory_bytes=board.memory_bytes,
            firmware=firmware,
            flash=board.flash,
        )
        self.foreign = System.foreign
        if board.sdram is not None:
            self.foreign += (sdram_controller(sdram=board.sdram, hertz=board.hertz),)

    def elaborate(self, platform):
        m, soc = Module(), self._soc
        self._clock(m, platform)
        m.submodules.soc = soc
        if isinstance(soc, Soc):
            m.submodules.memory = memory = self._memory(m, platform)
            connect(m, soc.memory, memory.bus)
        if self._board.flash is not None:
            self._flash(m, platform)
        serial = platform.request("uart", 0, dir="-")
        m.submodules.receive = receive = io.Buffer("i", serial.rx)
        m.submodules.send = send = io.Buffer("o", serial.tx)
        m.d.comb += [soc.receive.eq(receive.i), send.o.eq(soc.send)]
        return m

    def _clock(self, m, platform):
        """The clock of the SoC, and that of the SDRAM beside it."""
        board = self._board
        how = {} if board.sdram is None else {"shift": SDRAM_SHIFT}
        m.submodules.oscillator = source = io.Buffer("i", platform.request(platform.default_clk, 0, dir="-"))
        m.submodules.clock = clock = board.clock(source=int(platform.default_clk_frequency), target=board.hertz, **how)
        m.domains.sync = ClockDomain()
        m.submodules.reset = ResetSynchronizer(~clock.locked)
        m.d.comb += [clock.i.eq(source.i), ClockSignal().eq(clock.o)]
        if board.sdram is not None:
            m.domains.sdram = ClockDomain(reset_less=True)
            m.d.comb += ClockSignal("sdram").eq(clock.shifted)

    def _flash(self, m, platform):
        """The flash chip, neither protected nor on hold."""
        pads, pins = platform.request("spi_flash_1x", 0, dir="-"), self._soc.flash
        for name, value in (("cs", pins.select), ("clk", pins.clock), ("copi", pins.command), ("wp", 0), ("hold", 0)):
            m.submodules[f"flash_{name}"] = buffer = io.Buffer("o", getattr(pads, name))
            m.d.comb += buffer.o.eq(value)
        m.submodules.flash_cipo = buffer = io.Buffer("i", pads.cipo)
        m.d.comb += pins.answer.eq(buffer.i)

    def _memory(self, m, platform):
        """Program memory, in the chip or outside."""
        board, config = self._board, self._config
        if board.sdram is None:
            return ProgramMemory(config=config, size=board.memory_bytes)
        pads = platform.request("sdram", 0, dir="-")
        # The first half of a cycle 1, the second 0: a clock that leaves by the same way as everything else.
        m.submodules.sdram_clock = clock = io.DDRBuffer("o", pads.clk, o_domain="sdram")
        m.d.comb += [clock.o[0].eq(1), clock.o[1].eq(0)]
        return SdramMemory(config=config, sdram=board.sdram, hertz=board.hertz, pads=pads)
