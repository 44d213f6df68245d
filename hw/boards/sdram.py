"""The pins of an SDRAM chip, and the chip as program memory."""

from amaranth import Module, Signal
from amaranth.lib import io, wiring
from amaranth.lib.wiring import In, connect, flipped

from hw.config import HardwareConfig
from hw.memory.axi import memory_signature
from hw.soc.litedram import CAS_LATENCY, DATA_BYTES, Sdram
from hw.soc.narrow import BusNarrower
from hw.soc.sdram import SdramController, dfi_signature


class SdramPins(wiring.Component):
    """Registers between the controller and the pins, in the cells of the pins where the device has some there.

    Parameters
    ----------
    sdram : the chip
    pads : its pins by the names of ``amaranth_boards.resources.SDRAMResource``, but for the clock

    Members
    -------
    dfi : In(`hw.soc.sdram.dfi_signature`)

    **Latency**: a cycle in each direction. **Throughput**: a command and a word a cycle.
    """

    def __init__(self, *, sdram: Sdram, pads):
        self._pads = pads
        super().__init__({"dfi": In(dfi_signature(sdram))})

    def elaborate(self, platform):
        m = Module()
        dfi, pads = self.dfi, self._pads
        masked = dfi.wrdata_mask & dfi.wrdata_en.replicate(DATA_BYTES)
        lines = {"a": dfi.address, "ba": dfi.bank, "clk_en": dfi.cke, "dqm": masked}
        lines |= {name: ~getattr(dfi, f"{name}_n") for name in ("cs", "ras", "cas", "we")}
        for name, value in lines.items():
            m.submodules[name] = pin = io.FFBuffer("o", getattr(pads, name))
            m.d.comb += pin.o.eq(value)
        m.submodules.dq = dq = io.FFBuffer("io", pads.dq)
        m.d.comb += [dq.o.eq(dfi.wrdata), dq.oe.eq(dfi.wrdata_en), dfi.rddata.eq(dq.i)]
        # Out and in through a register each, and the latency of the chip between them.
        waiting = Signal(CAS_LATENCY + 1)
        m.d.sync += waiting.eq(waiting << 1 | dfi.rddata_en)
        m.d.comb += dfi.rddata_valid.eq(waiting[-1])
        return m


class SdramMemory(wiring.Component):
    """An SDRAM chip as program memory.

    Parameters
    ----------
    config : of which the bus counts
    sdram : the chip
    hertz : frequency of the clock
    pads : as of `SdramPins`

    Members
    -------
    bus : In(`hw.memory.axi.memory_signature`)

    **Latency** and **throughput**: those of `hw.soc.sdram.SdramController`, and a cycle.

    Raises SaformerError for bursts that are too long for the width of the chip.
    """

    def __init__(self, *, config: HardwareConfig, sdram: Sdram, hertz: int, pads):
        self.narrower = BusNarrower(config=config, bytes=DATA_BYTES)
        self.controller = SdramController(sdram=sdram, hertz=hertz)
        self.foreign = self.controller.foreign
        self.pins = SdramPins(sdram=sdram, pads=pads)
        super().__init__({"bus": In(memory_signature(config.bus_bytes))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.narrower, m.submodules.controller, m.submodules.pins = self.narrower, self.controller, self.pins
        connect(m, flipped(self.bus), self.narrower.wide)
        connect(m, self.narrower.narrow, self.controller.bus)
        connect(m, self.controller.dfi, self.pins.dfi)
        return m
