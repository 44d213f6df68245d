"""The serial line: what is sent is 8N1, and what is 8N1 is received."""

import random
from itertools import pairwise

import cocotb
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge

from sim.benches.probe import Probe
from sim.streams import StreamSource, generator, monitor, parameters, reset, start

DIVISOR = parameters()["divisor"]
BREAK_BITS = 16


def frame(byte: int) -> list[int]:
    """The bits of a byte on the line."""
    return [0, *(byte >> place & 1 for place in range(8)), 1]


class Line:
    """The line into the receiver, and what comes out of it."""

    def __init__(self, dut):
        self.dut, self.received, self.wrong = dut, [], 0
        dut.receiver__line.value = 1
        cocotb.start_soon(self._listen())

    async def _listen(self) -> None:
        while True:
            await ReadOnly()
            if self.dut.receiver__o__valid.value:
                self.received.append(int(self.dut.receiver__o__payload.value))
            self.wrong += int(self.dut.receiver__wrong.value)
            await RisingEdge(self.dut.clk)

    async def put(self, bits: list[int], rate: float = 1.0) -> None:
        """Put bits on the line, ``rate`` times as fast as they should be."""
        due, spent = 0.0, 0
        for bit in bits:
            self.dut.receiver__line.value = bit
            due += DIVISOR / rate
            await ClockCycles(self.dut.clk, round(due) - spent)
            spent = round(due)

    async def settle(self) -> None:
        await ClockCycles(self.dut.clk, 2 * DIVISOR)


def some_bytes(rng: random.Random, count: int) -> list[int]:
    return [rng.choice((0, 0xFF, 0x55, rng.getrandbits(8))) for _ in range(count)]


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def bytes_are_sent(dut):
    """Every bit lasts as long as it should; bytes follow each other with one cycle between them, or with pauses."""
    Line(dut)
    await start(dut)
    source, rng = StreamSource(dut, "sender__i"), generator("send")
    monitor(dut, ["sender__i"])
    for stall in (0.0, 0.99):
        source.stall = stall
        sent = some_bytes(rng, 20)
        probe = Probe(dut, ["sender__line", "sender__i__ready", "sender__i__valid"])
        source.put(sent)
        await source.drained()
        await ClockCycles(dut.clk, 11 * DIVISOR)
        probe.stop()
        line = [cycle.sender__line for cycle in probe.cycles]
        begun = [n + 2 for n, cycle in enumerate(probe.cycles) if cycle.sender__i__ready and cycle.sender__i__valid]
        assert len(begun) == len(sent)
        expected = [1] * len(line)
        for first, byte in zip(begun, sent, strict=True):
            bits = [bit for bit in frame(byte) for _ in range(DIVISOR)]
            expected[first : first + len(bits)] = bits
        assert line == expected
        if not stall:
            assert {later - earlier for earlier, later in pairwise(begun)} == {10 * DIVISOR + 1}


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def bytes_are_received(dut):
    """At the right rate and up to 4 % off it, one right behind the other and with pauses."""
    line, rng = Line(dut), generator("receive")
    await start(dut)
    for rate in (1.0, 0.96, 1.04):
        for pause in (0, 3 * DIVISOR):
            sent = some_bytes(rng, 30)
            for byte in sent:
                await line.put(frame(byte), rate)
                await ClockCycles(dut.clk, rng.randint(0, pause) + 1)
            await line.settle()
            assert line.received == sent, (rate, pause)
            assert line.wrong == 0
            line.received.clear()


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def faults_are_found(dut):
    """A start bit that is over too soon is none, a byte without a stop bit is dropped; the next one is right."""
    line, rng = Line(dut), generator("faults")
    await start(dut)
    for number in range(1, 20):
        dut.receiver__line.value = 0
        await ClockCycles(dut.clk, rng.randint(1, max(1, DIVISOR // 2 - 2)))
        dut.receiver__line.value = 1
        await line.settle()
        assert line.received == []
        byte = rng.getrandbits(8)
        await line.put([*frame(byte)[:-1], 0, 1])
        assert line.received == []
        assert line.wrong == number
        await line.put(frame(byte))
        await line.settle()
        assert line.received == [byte]
        line.received.clear()


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def breaks_are_found(dut):
    """A line at 0 is a break from its 16th bit to its end, and no byte but the one that it destroys."""
    line = Line(dut)
    await start(dut)
    for bits, found in ((BREAK_BITS - 1, False), (BREAK_BITS + 4, True), (3 * BREAK_BITS, True)):
        wrong = line.wrong
        probe = Probe(dut, ["receiver__pause"])
        await line.put([0] * bits + [1] * 3)
        probe.stop()
        paused = probe.when("receiver__pause")
        assert bool(paused) is found
        if found:
            # Three cycles for the way into the receiver.
            assert paused == list(range(BREAK_BITS * DIVISOR + 2, bits * DIVISOR + 3))
        assert line.wrong == wrong + 1
        await line.put(frame(0xA5))
        await line.settle()
        assert line.received == [0xA5]
        line.received.clear()


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """A reset frees the line, and forgets the byte that arrives."""
    line, rng = Line(dut), generator("reset")
    await start(dut)
    for _ in range(20):
        source = StreamSource(dut, "sender__i")
        source.put([rng.getrandbits(8)])
        arriving = cocotb.start_soon(line.put(frame(rng.getrandbits(8))))
        await ClockCycles(dut.clk, rng.randint(4, 9 * DIVISOR))
        arriving.cancel()
        source.stop()
        dut.receiver__line.value = 1
        await reset(dut, 1)
        await ReadOnly()
        assert (dut.sender__line.value, dut.sender__i__ready.value) == (1, 1)
        await RisingEdge(dut.clk)
        await line.settle()
        line.received.clear()
        await line.put(frame(0x3C))
        await line.settle()
        assert line.received == [0x3C]
        line.received.clear()
