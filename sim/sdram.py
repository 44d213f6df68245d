"""An SDRAM chip in simulation, at its pins, which says what a chip would not forgive."""

import enum
from dataclasses import dataclass
from math import ceil

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import io, memory, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from hw.boards.sdram import SdramMemory
from hw.config import HardwareConfig
from hw.memory.axi import memory_signature
from hw.soc.litedram import DATA_BYTES, Sdram

NANOSECONDS = {"activate": 20, "precharge": 20, "row": 44, "refresh": 66, "write": 15}
"""Least times of an MT48LC16M16A2 of grade 75 (Micron, 256 Mb SDRAM, AC characteristics): from activating a row to its
words (tRCD), from closing it to the next (tRP), open (tRAS), for a refresh (tRFC), from a written word to closing it
(tWR)."""

MODE_CYCLES = 2
"""From setting the mode to another command (tMRD)."""

POWER_UP_SECONDS = 100e-6
"""From a stable clock to the first command."""

REFRESH_SECONDS = 64e-3 / 8192 * 9
"""Longest time without a refresh: those of eight rows may be late."""

NOT_DRIVEN = 0x5AA5
"""What the controller reads where the chip says nothing."""

MODE_BITS = 10
"""Lines of the address that set the mode."""

PRECHARGE_ALL = 10
"""Line of the address that means all banks, and with a word that its row closes behind it."""

LONGEST = 31
"""Cycles that are counted at most."""


class Violation(enum.IntEnum):
    """What a chip may be told and should not be: bits of ``violations``."""

    EARLY = 0  # a command before the chip is ready: power-up, refresh, mode
    OPEN = 1  # a row that is open is opened, or rows are open where none may be
    CLOSED = 2  # a word of a bank whose row is closed
    ACTIVATE = 3  # a word too soon after its row has been opened
    PRECHARGE = 4  # a row too soon after the one before it has been closed
    ROW = 5  # a row closed too soon after it has been opened
    WRITE = 6  # a row closed too soon after a word has been written
    REFRESH = 7  # too long without a refresh
    MODE = 8  # words before the mode is set, or a mode that this model does not know
    CONTENTION = 9  # both ends drive the data lines


class SdramPads:
    """The pins as ports for `hw.boards.sdram.SdramPins`."""

    def __init__(self, sdram: Sdram):
        self.clk_en = io.SimulationPort("o", 1)
        self.cs, self.ras, self.cas, self.we = (io.SimulationPort("o", 1, invert=True) for _ in range(4))
        self.a, self.ba = io.SimulationPort("o", sdram.row_bits), io.SimulationPort("o", sdram.bank_bits)
        self.dqm, self.dq = io.SimulationPort("o", DATA_BYTES), io.SimulationPort("io", 8 * DATA_BYTES)


class SdramChip(wiring.Component):
    """An SDRAM chip that is clocked by the same clock as its controller.

    On a board its clock is shifted; here it sees in a cycle what the controller's registers say in it.

    Parameters
    ----------
    sdram : which chip
    hertz : frequency of the clock
    words : that it really has, a power of two: addresses above them mean the same words again

    Members
    -------
    address, bank, cke, cs_n, ras_n, cas_n, we_n, dqm : In, the pins
    write : In(16), the data lines from the controller, where it drives them (``driven`` : In(1))
    read : Out(16), the data lines as the controller sees them: `NOT_DRIVEN` where the chip does not drive them
    violations : Out, a bit for each `Violation` that has been seen

    **Latency**: a word is on the lines in the cycle that the mode asks for. **Throughput**: a command a cycle.
    """

    def __init__(self, *, sdram: Sdram, hertz: int, words: int):
        self._sdram, self._hertz, self._words = sdram, hertz, words
        pins = {"address": In(sdram.row_bits), "bank": In(sdram.bank_bits), "dqm": In(DATA_BYTES), "driven": In(1)}
        pins |= {name: In(1, init=1) for name in ("cs_n", "ras_n", "cas_n", "we_n")}
        data = {"write": In(8 * DATA_BYTES), "read": Out(8 * DATA_BYTES), "cke": In(1)}
        super().__init__(pins | data | {"violations": Out(len(Violation))})

    def elaborate(self, platform):
        m = Module()
        command = _decode(m, self)
        wrong = [Signal(name=kind.name.lower()) for kind in Violation]
        m.d.sync += self.violations.eq(self.violations | Cat(wrong))
        banks = [self._bank(m, number, command) for number in range(1 << self._sdram.bank_bits)]
        ready = self._life(m, command, wrong)
        chosen = {name: Array(getattr(bank, name) for bank in banks)[self.bank] for name in _Bank.__annotations__}
        word = command.read | command.write
        idle = command.refresh | command.mode
        m.d.comb += [
            wrong[Violation.EARLY].eq(command.any & ~ready),
            wrong[Violation.OPEN].eq(
                (command.activate & chosen["open"]) | (idle & Cat(bank.open for bank in banks).any())
            ),
            wrong[Violation.CLOSED].eq(word & ~chosen["open"]),
            wrong[Violation.ACTIVATE].eq(word & (chosen["age"] < self._cycles("activate"))),
            wrong[Violation.PRECHARGE].eq(
                (command.activate & (chosen["closing"] != 0)) | (idle & Cat(bank.closing for bank in banks).any())
            ),
            wrong[Violation.ROW].eq(Cat(bank.closes & bank.young for bank in banks).any()),
            wrong[Violation.WRITE].eq(Cat(bank.closes & bank.wet for bank in banks).any()),
        ]
        self._data(m, command, chosen["row"], wrong)
        return m

    def _bank(self, m, number, command):
        """The row of a bank: whether one is open, for how long, and how long until the next may be."""
        bank = _Bank(
            open=Signal(),
            row=Signal(self._sdram.row_bits),
            age=Signal(range(LONGEST + 1), init=LONGEST),
            closing=Signal(range(LONGEST + 1)),
            closes=Signal(),
            young=Signal(),
            wet=Signal(),
        )
        written = Signal(range(LONGEST + 1), init=LONGEST)
        mine, all_banks = self.bank == number, self.address[PRECHARGE_ALL]
        word = mine & (command.read | command.write)
        m.d.comb += [
            bank.closes.eq(command.precharge & (mine | all_banks) & bank.open),
            bank.young.eq(bank.age < self._cycles("row")),
            bank.wet.eq(written < self._cycles("write")),
        ]
        m.d.sync += [
            bank.age.eq(Mux(bank.age == LONGEST, LONGEST, bank.age + 1)),
            written.eq(Mux(mine & command.write, 1, Mux(written == LONGEST, LONGEST, written + 1))),
            bank.closing.eq(Mux(bank.closing == 0, 0, bank.closing - 1)),
        ]
        with m.If(mine & command.activate):
            m.d.sync += [bank.open.eq(1), bank.row.eq(self.address), bank.age.eq(1)]
        with m.Elif(command.precharge & (mine | all_banks)):
            m.d.sync += [bank.open.eq(0), bank.closing.eq(self._cycles("precharge") - 1)]
        with m.Elif(word & all_banks):
            # It closes by itself, when all else that it has to wait for is over.
            left = Mux(command.write, self._cycles("write"), 1)
            row = Mux(bank.young, self._cycles("row") - bank.age, 0)
            m.d.sync += [bank.open.eq(0), bank.closing.eq(Mux(left > row, left, row) + self._cycles("precharge") - 1)]
        return bank

    def _life(self, m, command, wrong):
        """Power-up, refreshes and mode; return whether a command may come."""
        power_up, busy = round(POWER_UP_SECONDS * self._hertz), Signal(range(LONGEST + 1))
        age, refreshed = Signal(range(power_up + 1)), Signal(range(round(REFRESH_SECONDS * self._hertz) + 1))
        m.d.sync += [
            age.eq(Mux(~self.cke, 0, Mux(age == power_up, power_up, age + 1))),
            busy.eq(Mux(busy == 0, 0, busy - 1)),
            refreshed.eq(Mux(command.refresh, 0, refreshed + command.started)),
        ]
        with m.If(command.refresh):
            m.d.sync += busy.eq(self._cycles("refresh") - 1)
        with m.If(command.mode):
            m.d.sync += busy.eq(MODE_CYCLES - 1)
        m.d.comb += wrong[Violation.REFRESH].eq(refreshed == round(REFRESH_SECONDS * self._hertz))
        return (age == power_up) & (busy == 0)

    def _data(self, m, command, row, wrong):
        """The words, and the data lines."""
        m.submodules.words = words = memory.Memory(shape=8 * DATA_BYTES, depth=self._words, init=[])
        write, read = words.write_port(granularity=8), words.read_port()
        address = Cat(self.address[: self._sdram.column_bits], self.bank, row)[: ceil_log2(self._words)]
        late, answering = Signal.like(read.data), Signal(2)
        m.d.comb += [
            write.addr.eq(address),
            write.data.eq(self.write),
            write.en.eq(Mux(command.write, ~self.dqm, 0)),
            read.addr.eq(address),
            wrong[Violation.MODE].eq((command.read | command.write) & ~command.started),
            wrong[Violation.CONTENTION].eq(self.driven & answering.bit_select(command.slow, 1)),
        ]
        m.d.sync += [answering.eq(Cat(command.read, answering[0])), late.eq(read.data)]
        data = Mux(command.slow, late, read.data)
        m.d.comb += self.read.eq(Mux(answering.bit_select(command.slow, 1), data, NOT_DRIVEN))

    def _cycles(self, name: str) -> int:
        return ceil(NANOSECONDS[name] * self._hertz / 1e9)


class SimulatedSdram(wiring.Component):
    """A program memory with its chip.

    Parameters
    ----------
    config : of which the bus counts
    sdram, hertz, words : as of `SdramChip`

    Members
    -------
    bus : In(`hw.memory.axi.memory_signature`)
    violations : Out, as of `SdramChip`
    """

    def __init__(self, *, config: HardwareConfig, sdram: Sdram, hertz: int, words: int):
        self._pads = SdramPads(sdram)
        self._memory = SdramMemory(config=config, sdram=sdram, hertz=hertz, pads=self._pads)
        self._chip = SdramChip(sdram=sdram, hertz=hertz, words=words)
        self.foreign = self._memory.foreign
        super().__init__({"bus": In(memory_signature(config.bus_bytes)), "violations": Out(len(Violation))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory, m.submodules.chip = memory, chip = self._memory, self._chip
        connect(m, flipped(self.bus), memory.bus)
        pads = self._pads
        m.d.comb += [
            chip.address.eq(pads.a.o),
            chip.bank.eq(pads.ba.o),
            chip.cke.eq(pads.clk_en.o),
            chip.dqm.eq(pads.dqm.o),
            *(getattr(chip, f"{name}_n").eq(getattr(pads, name).o) for name in ("cs", "ras", "cas", "we")),
            chip.write.eq(pads.dq.o),
            chip.driven.eq(pads.dq.oe.any()),
            pads.dq.i.eq(chip.read),
            self.violations.eq(chip.violations),
        ]
        return m


@dataclass(frozen=True)
class _Bank:
    """Signals of a bank: a row is open, which, for how many cycles; how many until the next may be opened; it is being
    closed, which is too early for the row, or for the last word written."""

    open: Signal
    row: Signal
    age: Signal
    closing: Signal
    closes: Signal
    young: Signal
    wet: Signal


@dataclass(frozen=True)
class _Command:
    """What the pins say; whether the mode has been set (``started``), and to the longer latency (``slow``)."""

    any: Value
    activate: Value
    read: Value
    write: Value
    precharge: Value
    refresh: Value
    mode: Value
    started: Signal
    slow: Signal


def _decode(m, chip):
    """Take a command from the pins, and keep the mode."""
    there, lines = Signal(), Cat(chip.ras_n, chip.cas_n, chip.we_n)
    m.d.comb += there.eq(chip.cke & ~chip.cs_n & ~lines.all())
    kinds = {"activate": 0b110, "read": 0b101, "write": 0b001, "precharge": 0b010, "refresh": 0b100, "mode": 0b000}
    found = {name: Signal(name=name) for name in kinds}
    m.d.comb += [found[name].eq(there & (lines == code)) for name, code in kinds.items()]
    started, slow = Signal(), Signal()
    with m.If(found["mode"]):
        # Single words, one behind the other, with a latency of two or three cycles.
        mode = chip.address[:MODE_BITS]
        m.d.sync += [
            started.eq((mode[:4] == 0) & ((mode[4:7] == 2) | (mode[4:7] == 3)) & ~mode[8] & ~mode[9]),
            slow.eq(mode[4]),
        ]
    return _Command(any=there, started=started, slow=slow, **found)
