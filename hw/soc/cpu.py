"""The RISC-V core: PicoRV32, as the package ``pythondata-cpu-picorv32`` carries it."""

from amaranth import ClockSignal, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.soc.bus import bus_signature
from hw.synth.foreign import PackagedModule

PICORV32 = PackagedModule(
    name="picorv32",
    package="pythondata_cpu_picorv32",
    file="verilog/picorv32.v",
    module="picorv32",
    # RV32I alone: the core has no counters (a register of the SoC counts cycles), no interrupts and no multiplier.
    parameters=(("ENABLE_COUNTERS", 0), ("ENABLE_COUNTERS64", 0), ("BARREL_SHIFTER", 1)),
)

_UNUSED = {
    **{"mem_instr": 1, "mem_la_read": 1, "mem_la_write": 1, "mem_la_addr": 32, "mem_la_wdata": 32, "mem_la_wstrb": 4},
    **{"pcpi_valid": 1, "pcpi_insn": 32, "pcpi_rs1": 32, "pcpi_rs2": 32},
    **{"eoi": 32, "trace_valid": 1, "trace_data": 36},
}
"""Outputs of the core that nobody reads: look-ahead, coprocessor, interrupts and trace."""


class Core(wiring.Component):
    """Runs RV32I from address 0 on, after a reset.

    Members
    -------
    reset : In(1), a reset besides that of the clock domain: what a `ResetInserter` adds does not reach a foreign module
    bus : Out(`hw.soc.bus.bus_signature`)
    trap : Out(1), the core has met an illegal instruction or a misaligned address, and stands still until a reset

    Latency and throughput: about four cycles an instruction, with a memory that answers in the cycle after the request.
    """

    def __init__(self):
        super().__init__({"reset": In(1), "bus": Out(bus_signature()), "trap": Out(1)})

    def elaborate(self, platform):
        m = Module()
        address = Signal(32)
        m.submodules.picorv32 = Instance(
            PICORV32.name,
            i_clk=ClockSignal(),
            i_resetn=~(ResetSignal() | self.reset),
            o_trap=self.trap,
            o_mem_valid=self.bus.valid,
            o_mem_addr=address,
            o_mem_wdata=self.bus.data,
            o_mem_wstrb=self.bus.mask,
            i_mem_ready=self.bus.ready,
            i_mem_rdata=self.bus.answer,
            # The bus of the core alone is used.
            **{f"o_{name}": Signal(width, name=name) for name, width in _UNUSED.items()},
            i_irq=0,
            i_pcpi_wr=0,
            i_pcpi_rd=0,
            i_pcpi_wait=0,
            i_pcpi_ready=0,
        )
        m.d.comb += self.bus.address.eq(address >> 2)
        return m
