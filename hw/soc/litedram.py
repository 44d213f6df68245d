"""The SDRAM controller: LiteDRAM's, as the package ``litedram`` carries it, as a Verilog module for a chip and a clock.

LiteDRAM is written in Migen: its classes are put together here, and Migen writes the Verilog.
"""

from dataclasses import dataclass

import litedram.modules
from litedram.common import PhySettings
from litedram.core.controller import ControllerSettings, LiteDRAMController
from litedram.core.crossbar import LiteDRAMCrossbar
from litedram.frontend.axi import LiteDRAMAXI2Native, LiteDRAMAXIPort
from litedram.init import get_sdram_phy_init_sequence
from litedram.modules import SDRModule
from litex.gen.fhdl.verilog import convert
from migen import ClockDomain, Module, ResetInserter, Signal

from hw.synth.foreign import ForeignModule

DATA_BYTES = 2
"""Width of the chips that are known here."""

CAS_LATENCY = 2
"""Cycles from a read command to its data, at the clocks of the boards."""

BUFFER_WORDS = 16
"""Depth of the controller's queues: with 8, reads lose 11 % of the bandwidth."""

SETTLING_CYCLES = 32
"""The least time between two commands of the start: LiteDRAM's list names none after a precharge."""

AXI = {
    "aw": ("addr", "burst", "len", "size", "id"),
    "w": ("data", "strb", "last"),
    "b": ("resp", "id"),
    "ar": ("addr", "burst", "len", "size", "id"),
    "r": ("data", "resp", "last", "id"),
}
"""The channels of the port and what they carry besides ``valid`` and ``ready``."""

DFI_OUT = (
    *("address", "bank", "cs_n", "ras_n", "cas_n", "we_n", "cke"),
    *("wrdata", "wrdata_en", "wrdata_mask", "rddata_en"),
)
DFI_IN = ("rddata", "rddata_valid")
"""The signals of the DFI (DDR PHY Interface) that a memory of this kind has."""


@dataclass(frozen=True, kw_only=True)
class Sdram:
    """An SDRAM chip with 16 data lines.

    Parameters
    ----------
    chip : its name among LiteDRAM's modules, which know its shape and its timing
    """

    chip: str

    @property
    def bank_bits(self) -> int:
        """Width of the address of a bank."""
        return (self.module.nbanks - 1).bit_length()

    @property
    def row_bits(self) -> int:
        """Width of the address of a row, and of the address lines."""
        return (self.module.nrows - 1).bit_length()

    @property
    def column_bits(self) -> int:
        """Width of the address of a word in a row."""
        return (self.module.ncols - 1).bit_length()

    @property
    def size(self) -> int:
        """Bytes."""
        return DATA_BYTES << self.bank_bits + self.row_bits + self.column_bits

    @property
    def module(self) -> type[SDRModule]:
        """LiteDRAM's class of it."""
        return getattr(litedram.modules, self.chip)


@dataclass(frozen=True, kw_only=True)
class StartStep:
    """A command of the start-up: what is on the pins for a cycle, and how many cycles pass before the next."""

    address: int
    bank: int
    ras: bool
    cas: bool
    we: bool
    cycles: int


@dataclass(frozen=True, kw_only=True)
class Controller(ForeignModule):
    """LiteDRAM's controller with one AXI4 port, and a DFI to the chip.

    Ports: ``sys_clk``, ``sys_rst``; ``hold``, which keeps it from sending commands while somebody else does; an AXI4
    slave; the DFI with the names of `DFI_OUT` and `DFI_IN`.

    Parameters
    ----------
    sdram : the chip
    hertz : frequency of the clock
    """

    sdram: Sdram
    hertz: int

    def verilog(self) -> str:
        core = _Core(self._physical, self._chip, self.hertz, self.sdram.size)
        text = str(convert(core, core.ports, name=self.module))
        # Its comments have the date.
        return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("//"))

    def start(self) -> list[StartStep]:
        """Return the commands that the chip wants before the controller begins, by LiteDRAM's list."""
        steps, _ = get_sdram_phy_init_sequence(self._physical, self._chip.timing_settings)
        return [
            StartStep(
                address=address,
                bank=bank,
                **{line: f"DFII_COMMAND_{line.upper()}" in command for line in ("ras", "cas", "we")},
                cycles=max(cycles, SETTLING_CYCLES),
            )
            for _, address, bank, command, cycles in steps
        ]

    @property
    def _chip(self) -> SDRModule:
        return self.sdram.module(self.hertz, "1:1")

    @property
    def _physical(self) -> PhySettings:
        """What the controller has to know of the pins: one register in each direction, in the cells of the pins."""
        bits = 8 * DATA_BYTES
        return PhySettings(
            phytype="GENSDRPHY",
            memtype="SDR",
            databits=bits,
            dfi_databits=bits,
            nphases=1,
            rdphase=0,
            wrphase=0,
            cl=CAS_LATENCY,
            read_latency=CAS_LATENCY + 1,
            write_latency=0,
        )


class _Core(Module):
    """The controller, the crossbar with one port, and AXI before it."""

    def __init__(self, physical, chip, hertz: int, size: int):
        self.clock_domains.sys = clock = ClockDomain("sys")
        self.ports = {clock.clk, clock.rst}
        hold = self._port("hold", 1)
        controller = LiteDRAMController(
            physical,
            chip.geom_settings,
            chip.timing_settings,
            hertz,
            ControllerSettings(cmd_buffer_depth=BUFFER_WORDS),
        )
        self.submodules.controller = ResetInserter()(controller)
        self.comb += self.controller.reset.eq(hold)
        self.submodules.crossbar = LiteDRAMCrossbar(self.controller.interface)
        bits = (size - 1).bit_length()
        axi = LiteDRAMAXIPort(data_width=8 * DATA_BYTES, address_width=bits, id_width=1)
        depths = {"w_buffer_depth": BUFFER_WORDS, "r_buffer_depth": BUFFER_WORDS}
        self.submodules.frontend = LiteDRAMAXI2Native(axi, self.crossbar.get_port(), **depths)
        for channel, names in AXI.items():
            backwards = channel in ("b", "r")
            endpoint = getattr(axi, channel)
            for name in (*names, "valid"):
                self._join(f"{channel}{name}", getattr(endpoint, name), out=backwards)
            self._join(f"{channel}ready", endpoint.ready, out=not backwards)
        for names, out in ((DFI_OUT, True), (DFI_IN, False)):
            for name in names:
                self._join(name, getattr(self.controller.dfi.p0, name), out=out)

    def _port(self, name: str, width: int) -> Signal:
        port = Signal(width, name=name)
        self.ports.add(port)
        return port

    def _join(self, name: str, inner, *, out: bool) -> None:
        """Make a port of a signal."""
        port = self._port(name, len(inner))
        self.comb += port.eq(inner) if out else inner.eq(port)
