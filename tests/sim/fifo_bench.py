"""A bench of a FIFO: the shared stream helpers at work."""

import cocotb

from sim.streams import StreamSink, StreamSource, generator, monitor, parameters, start


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def passes_items_in_order(dut):
    values = parameters()
    source = StreamSource(dut, "i", stall=values["stall"])
    sink = StreamSink(dut, "o", stall=values["stall"])
    monitor(dut, ("i", "o"))
    await start(dut)
    rng = generator("items")
    items = [rng.randrange(256) for _ in range(values["count"])]
    source.put(items)
    await source.drained()
    assert await sink.get(len(items)) == items
