"""SDRAM outside the chip: the controller behind AXI4, and what it says to the pins."""

from amaranth import Array, ClockSignal, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.memory.axi import memory_signature
from hw.soc.litedram import AXI, DATA_BYTES, DFI_IN, DFI_OUT, Controller, Sdram


def dfi_signature(sdram: Sdram) -> wiring.Signature:
    """What the controller says to the pins of a chip, and hears from them; the fields are those of the DFI."""
    return wiring.Signature(
        {
            "address": Out(sdram.row_bits),
            "bank": Out(sdram.bank_bits),
            **{name: Out(1, init=1) for name in ("cs_n", "ras_n", "cas_n", "we_n")},
            "cke": Out(1),
            "wrdata": Out(8 * DATA_BYTES),
            "wrdata_en": Out(1),
            "wrdata_mask": Out(DATA_BYTES),
            "rddata_en": Out(1),
            "rddata": In(8 * DATA_BYTES),
            "rddata_valid": In(1),
        }
    )


def sdram_controller(*, sdram: Sdram, hertz: int) -> Controller:
    """Return LiteDRAM's controller as `SdramController` names it."""
    return Controller(name="sdram_controller", module="sdram_controller", sdram=sdram, hertz=hertz)


class SdramController(wiring.Component):
    """An SDRAM behind AXI4: LiteDRAM's controller, and the start-up of the chip before it.

    Parameters
    ----------
    sdram : the chip
    hertz : frequency of the clock

    Members
    -------
    bus : In(`hw.memory.axi.memory_signature`) of the chip's width; requests wait until the chip has started
    dfi : Out(`dfi_signature`)

    **Latency**: the start takes some 20,000 cycles; then 9 cycles and more to the first word of a burst.
    **Throughput**: up to 1.94 bytes a cycle in bursts that follow each other, less where rows change.
    """

    def __init__(self, *, sdram: Sdram, hertz: int):
        self.sdram = sdram
        self.controller = sdram_controller(sdram=sdram, hertz=hertz)
        self.foreign = (self.controller,)
        super().__init__({"bus": In(memory_signature(DATA_BYTES)), "dfi": Out(dfi_signature(sdram))})

    def elaborate(self, platform):
        m = Module()
        controlled = dfi_signature(self.sdram).create()
        started = self._start(m, controlled)
        bus, ports = self.bus, {"i_sys_clk": ClockSignal(), "i_sys_rst": ResetSignal(), "i_hold": ~started}
        for channel, names in AXI.items():
            side = "o" if channel in ("b", "r") else "i"
            ports |= {f"{side}_{channel}{name}": getattr(bus, channel + name) for name in names}
        for channel in ("ar", "aw"):
            ports[f"i_{channel}addr"] = getattr(bus, f"{channel}addr")[: (self.sdram.size - 1).bit_length()]
            # Nothing is lost in a controller that does not listen yet.
            taken = Signal(name=f"{channel}_taken")
            m.d.comb += getattr(bus, f"{channel}ready").eq(taken & started)
            ports |= {f"o_{channel}ready": taken, f"i_{channel}valid": getattr(bus, f"{channel}valid") & started}
        for channel, way in (("w", "io"), ("b", "oi"), ("r", "oi")):
            ports[f"{way[0]}_{channel}valid"] = getattr(bus, f"{channel}valid")
            ports[f"{way[1]}_{channel}ready"] = getattr(bus, f"{channel}ready")
        ports |= {f"o_{name}": getattr(controlled, name) for name in DFI_OUT}
        ports |= {f"i_{name}": getattr(self.dfi, name) for name in DFI_IN}
        m.submodules.controller = Instance(self.controller.name, **ports)
        return m

    def _start(self, m, controlled):
        """Send the commands of the start-up, then those of the controller; return whether it may begin."""
        steps = self.controller.start()
        step, left = Signal(range(len(steps) + 1)), Signal(range(max(step.cycles for step in steps)))
        first, started = Signal(init=1), Signal()
        m.d.comb += [getattr(self.dfi, name).eq(getattr(controlled, name)) for name in DFI_OUT]
        with m.If(~started):
            m.d.comb += [
                self.dfi.cke.eq(1),
                self.dfi.cs_n.eq(~first),
                self.dfi.address.eq(Array(step.address for step in steps)[step]),
                self.dfi.bank.eq(Array(step.bank for step in steps)[step]),
                *(
                    getattr(self.dfi, f"{line}_n").eq(Array(not getattr(step, line) for step in steps)[step])
                    for line in ("ras", "cas", "we")
                ),
                self.dfi.wrdata_en.eq(0),
                self.dfi.rddata_en.eq(0),
            ]
            m.d.sync += [first.eq(left == 0), left.eq(left - 1)]
            with m.If(first):
                m.d.sync += left.eq(Array(step.cycles - 2 for step in steps)[step])
            with m.Elif(left == 0):
                m.d.sync += [step.eq(step + 1), started.eq(step == len(steps) - 1)]
        return started
