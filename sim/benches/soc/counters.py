"""The counters of a layer, one after the other."""

import cocotb

from hw.serial.accelerator import COUNTERS, REPORT
from sim.benches.clocked import Clocked
from sim.streams import StreamSource, generator, reset, start


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def counters_come_in_order(dut):
    """They wait until they are taken, and a report until all of its counters have been."""
    await start(dut)
    rng, design = generator("reports"), Clocked(dut, ["waits", "layer", "index", "value"])
    reports = [{name: rng.getrandbits(REPORT[name].width) for name in REPORT.members} for _ in range(50)]
    source = StreamSource(dut, "i", stall=0.3)
    source.put(REPORT.const(report).as_value().value for report in reports)
    taken = []
    while len(taken) < len(reports) * len(COUNTERS):
        take = rng.getrandbits(1)
        # Nobody takes what does not wait.
        dut.take.value = 0
        seen = await design.cycle()
        if seen.waits and take:
            seen = await design.cycle(take=1)
            taken.append((seen.layer, seen.index, seen.value))
            design.set(take=0)
    wanted = [(r["layer"], number, r[name]) for r in reports for number, name in enumerate(COUNTERS)]
    assert taken == wanted


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def a_reset_begins_with_the_first(dut):
    """In the middle of a report."""
    await start(dut)
    design = Clocked(dut, ["waits", "index"])
    dut.i__valid.value, dut.i__payload.value = 1, 0
    await design.cycle(take=1)
    assert (await design.cycle(take=0)).index == 1
    await reset(dut, 1)
    assert (await design.cycle()).index == 0
