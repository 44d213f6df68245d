"""The skid buffer: nothing lost, nothing twice, one payload a cycle."""

import cocotb
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge, Timer

from sim.benches.probe import Probe
from sim.streams import StreamSink, StreamSource, generator, monitor, parameters, reset, start

WIDTH = parameters()["width"]


def payloads(name: str, count: int) -> list[int]:
    rng = generator(name)
    return [rng.choice((0, 2**WIDTH - 1, rng.getrandbits(WIDTH))) for _ in range(count)]


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_stalls(dut):
    """Sources and sinks that wait seldom, often and never."""
    await start(dut)
    source, sink = StreamSource(dut, "i"), StreamSink(dut, "o")
    monitor(dut, ["i", "o"])
    for stalls in ((0, 0), (0.8, 0), (0, 0.8), (0.3, 0.3), (0.7, 0.7)):
        source.stall, sink.stall = stalls
        sent = payloads(str(stalls), 300)
        source.put(sent)
        assert await sink.get(len(sent)) == sent
    await ClockCycles(dut.clk, 5)
    assert not sink.items


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def timing(dut):
    """A cycle from in to out, and no gaps."""
    await start(dut)
    source, sink = StreamSource(dut, "i"), StreamSink(dut, "o")
    probe = Probe(dut, ["i__valid", "i__ready", "o__valid"])
    source.put(payloads("timing", 20))
    await sink.get(20)
    probe.stop()
    first = probe.when("i__valid")[0]
    assert probe.when("i__valid") == list(range(first, first + 20))
    assert probe.when("o__valid") == list(range(first + 1, first + 21))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def no_path_through(dut):
    """What the sink does in a cycle changes nothing that the source sees in it, and the other way round."""
    await start(dut)
    rng = generator("paths")
    for _ in range(200):
        seen = set()
        for valid, ready in ((0, 0), (0, 1), (1, 0), (1, 1)):
            dut.i__valid.value, dut.o__ready.value, dut.i__payload.value = valid, ready, rng.getrandbits(WIDTH)
            await ReadOnly()
            seen.add((int(dut.i__ready.value), int(dut.o__valid.value), int(dut.o__payload.value)))
            await Timer(1, "step")
        assert len(seen) == 1
        dut.i__valid.value, dut.o__ready.value = rng.getrandbits(1), rng.getrandbits(1)
        await RisingEdge(dut.clk)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_the_middle(dut):
    """A reset drops what is inside, one payload or two."""
    await start(dut)
    sink, rng = StreamSink(dut, "o"), generator("reset")
    for cycles in range(1, 12):
        source = StreamSource(dut, "i")
        sink.stall = rng.choice((0, 0.5, 1))
        source.put(payloads("before", 20))
        await ClockCycles(dut.clk, cycles)
        source.stop()
        await reset(dut, 1)
        sink.items.clear()
        sink.stall = 0.2
        source, sent = StreamSource(dut, "i"), payloads("after", 5)
        source.put(sent)
        assert await sink.get(5) == sent
        source.stop()
