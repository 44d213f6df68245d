"""The registers against what their description says, in every cycle."""

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from hw.soc.bank import port_name
from hw.soc.map import Kind
from hw.soc.registers import REGISTERS
from sim.benches.soc.master import BusMaster
from sim.streams import generator, reset, start

BY_ADDRESS = {register.address // 4: register for register in REGISTERS}
FIELDS = {port_name(register, field): (register, field) for register in REGISTERS for field in register.fields}
INPUTS = [name for name, (_, field) in FIELDS.items() if field.kind in (Kind.VALUE, Kind.TAKEN)]
END = max(BY_ADDRESS) + 4


class Watched:
    """The hardware around the bank: its inputs are noise, and what it is told is written down, cycle by cycle."""

    def __init__(self, dut):
        self.dut, self.rng = dut, generator("noise")
        self.shown: list[dict[str, int]] = []
        self.told: list[set] = []
        cocotb.start_soon(self._run())

    async def _run(self) -> None:
        while True:
            shown = {name: self.rng.getrandbits(FIELDS[name][1].width) for name in INPUTS}
            for name, value in shown.items():
                getattr(self.dut, name).value = value
            await ReadOnly()
            self.shown.append(shown)
            self.told.append(self._events())
            await RisingEdge(self.dut.clk)

    def _events(self) -> set:
        found = set()
        for name, (_, field) in FIELDS.items():
            if field.kind is Kind.TAKEN and getattr(self.dut, f"{name}_read").value:
                found.add((name, "read"))
            elif field.kind is Kind.PULSE and getattr(self.dut, name).value:
                found.add((name, int(getattr(self.dut, name).value)))
            elif field.kind is Kind.PUSHED and getattr(self.dut, f"{name}__valid").value:
                found.add((name, int(getattr(self.dut, f"{name}__payload").value)))
        return found


class Bank:
    """The registers as the firmware sees them, and what each request should cause."""

    def __init__(self, dut):
        self.watched = Watched(dut)
        self.master = BusMaster(dut, generator("master"))
        self.stored: dict[str, int] = {}
        self.forget()

    def forget(self) -> None:
        """After a reset."""
        self.stored = {name: field.reset for name, (_, field) in FIELDS.items() if field.kind is Kind.STORED}

    async def read(self, address: int) -> None:
        """Read a word; compare it with the fields in the cycle of the request, and who was told of it."""
        begun = len(self.watched.shown)
        answer = await self.master.read(address)
        assert self.master.cycles == 2
        shown, expected = self.watched.shown[begun] | self.stored, 0
        fields = BY_ADDRESS[address].fields if address in BY_ADDRESS else ()
        for field in fields:
            name = port_name(BY_ADDRESS[address], field)
            value = field.reset if field.kind is Kind.CONSTANT else shown.get(name, 0)
            expected |= value << field.low
        assert answer == expected, BY_ADDRESS.get(address)
        taken = {(port_name(BY_ADDRESS[address], field), "read") for field in fields if field.kind is Kind.TAKEN}
        assert self.watched.told[begun : begun + 2] == [taken, set()]

    async def write(self, address: int, data: int, mask: int) -> None:
        """Write a word, or a part of it, which does nothing."""
        begun = len(self.watched.told)
        await self.master.write(address, data, mask)
        assert self.master.cycles == 2
        told = set()
        for field in BY_ADDRESS[address].fields if address in BY_ADDRESS and mask == 0xF else ():
            name, value = port_name(BY_ADDRESS[address], field), data >> field.low & (1 << field.width) - 1
            if field.kind is Kind.STORED:
                self.stored[name] = value
            elif field.kind is Kind.PUSHED or (field.kind is Kind.PULSE and value):
                told.add((name, value))
        assert self.watched.told[begun : begun + 2] == [set(), told]
        for name, value in self.stored.items():
            assert getattr(self.master._dut, name).value == value


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_requests(dut):
    """Reads and writes of all registers, and of addresses between and behind them, at once and with pauses."""
    bank, rng = Bank(dut), generator("requests")
    await start(dut)
    for _ in range(3000):
        address = rng.randrange(END)
        if rng.random() < 0.5:
            await bank.read(address)
        else:
            data = rng.choice((0, 2**32 - 1, rng.getrandbits(32)))
            await bank.write(address, data, rng.choice((0xF, 0xF, rng.randint(1, 15))))
        for _ in range(rng.choice((0, 0, 1, 3))):
            await RisingEdge(dut.clk)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """After a reset, in any cycle of a request, stored fields are what they were at first, and nobody is told."""
    bank, rng = Bank(dut), generator("reset")
    await start(dut)
    for cycles in range(4):
        for address in BY_ADDRESS:
            await bank.write(address, rng.getrandbits(32), 0xF)
        request = cocotb.start_soon(bank.master.write(rng.choice(list(BY_ADDRESS)), rng.getrandbits(32)))
        for _ in range(cycles):
            await RisingEdge(dut.clk)
        request.cancel()
        dut.bus__valid.value = 0
        await reset(dut, 1)
        bank.forget()
        await ReadOnly()
        assert not bank.watched._events()
        await RisingEdge(dut.clk)
        for address in BY_ADDRESS:
            await bank.read(address)
