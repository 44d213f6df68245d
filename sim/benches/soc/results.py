"""The queues of results against lists."""

import cocotb
from cocotb.triggers import ReadOnly, RisingEdge

from hw.beats import address_shape
from hw.config import HardwareConfig
from hw.counters import REPORT
from hw.soc.results import BEATS, REPORTS
from sim.streams import generator, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
VALUES, BITS = CONFIG.beat_channels * CONFIG.timesteps, CONFIG.current_bits


class Bench:
    """What has been sent and not been taken."""

    def __init__(self, dut):
        self.dut, self.rng = dut, generator("results")
        self.logits: list[int] = []
        self.counters: list[int] = []
        self.waiting = [False, False]
        self.taken = 0
        dut.logits__valid.value = dut.counters__valid.value = dut.take_logit.value = dut.take_counter.value = 0

    async def cycle(self, *, send: float, take: float) -> None:
        """One cycle, in which something is sent and taken with some probability."""
        dut, rng = self.dut, self.rng
        values = [
            rng.choice((-(2 ** (BITS - 1)), 2 ** (BITS - 1) - 1, 0, rng.getrandbits(BITS - 1))) for _ in range(VALUES)
        ]
        report = rng.getrandbits(REPORT.size)
        beat, counter = rng.random() < send, rng.random() < send
        address_bits = address_shape(CONFIG).width
        dut.logits__valid.value, dut.counters__valid.value = beat, counter
        dut.logits__payload.value = rng.getrandbits(address_bits) | pack(values, BITS) << address_bits
        dut.counters__payload.value = report
        # A taker looks first, and takes in a later cycle.
        wanted = [rng.random() < take and waits for waits in self.waiting]
        dut.take_logit.value, dut.take_counter.value = wanted
        await ReadOnly()
        seen = (dut.logit_waits.value, dut.counter_waits.value)
        self.waiting = [bool(waits) and not taken for waits, taken in zip(seen, wanted, strict=True)]
        if wanted[0]:
            assert int(dut.logit.value) == self.logits.pop(0) % 2**32
        if wanted[1]:
            assert int(dut.counter.value) == self.counters.pop(0)
        self.taken += sum(wanted)
        self.logits += values * beat
        self.counters += [report] * counter
        await RisingEdge(dut.clk)
        dut.logits__valid.value = dut.counters__valid.value = dut.take_logit.value = dut.take_counter.value = 0


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def results_wait_in_order(dut):
    """Sent seldom and often, taken seldom and often; nothing is lost as long as there is room."""
    bench = Bench(dut)
    await start(dut)
    for send, take in ((0.05, 0.9), (0.02, 0.3), (0.1, 0.0), (0.0, 1.0)):
        for _ in range(1000 if send else 4 * len(bench.logits)):
            await bench.cycle(send=send, take=take)
    assert bench.taken > 500
    assert not dut.lost.value
    assert not bench.logits
    assert not bench.counters


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def what_has_no_room_is_told(dut):
    """More than a queue holds is lost, and the one who looks knows; a reset empties all."""
    bench = Bench(dut)
    await start(dut)
    for port, room in ((dut.logits__valid, BEATS + 2), (dut.counters__valid, REPORTS + 1)):
        for number in range(room + 4):
            port.value = 1
            await RisingEdge(dut.clk)
            if number < room - 3:
                assert not dut.lost.value
        port.value = 0
        await RisingEdge(dut.clk)
        await ReadOnly()
        assert dut.lost.value
        await RisingEdge(dut.clk)
        await reset(dut)
        await ReadOnly()
        assert not dut.lost.value
        await RisingEdge(dut.clk)
        await RisingEdge(dut.clk)
        assert not dut.logit_waits.value
        assert not dut.counter_waits.value
    for _ in range(300):
        await bench.cycle(send=0.03, take=0.5)
