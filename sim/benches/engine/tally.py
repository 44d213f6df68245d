"""The counts of events against their definition."""

import cocotb

from hw.beats import event_layout
from hw.config import HardwareConfig
from hw.counters import Counter
from hw.engine.tally import TALLIED, TALLY_CYCLES, tally_layout
from hw.program import DESCRIPTOR_LAYOUT
from sim.benches.clocked import Clocked
from sim.streams import generator, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
ALL_STEPS = 2**CONFIG.timesteps - 1
TALLY = tally_layout(CONFIG)


def expect(*, valid: bool, ready: bool, pattern: int, channels: int) -> dict[Counter, int]:
    """Increments of a cycle; those that are left out are 0."""
    if not valid:
        return {Counter.IDLE: 1}
    if not ready:
        return {Counter.STALLED: 1}
    if not pattern:
        return {Counter.NULLS: 1}
    return {
        Counter.EVENTS: 1,
        Counter.SPIKES: pattern.bit_count(),
        Counter.SOPS: pattern.bit_count() * channels,
        Counter.WEIGHT_FETCHES: channels,
    }


class Bench:
    """The tally, watched from cycle to cycle: what it shows belongs to the cycle before last."""

    def __init__(self, dut):
        self._part = Clocked(dut, ["counts"])
        self._part.set(layer=0, valid=0, ready=0, event=0)
        self._due: list[dict[Counter, int]] = []

    async def check(self, layer: dict[str, int], *, valid: bool, ready: bool, event: dict[str, int]) -> None:
        seen = await self._part.cycle(
            layer=DESCRIPTOR_LAYOUT.const(layer).as_bits(),
            valid=valid,
            ready=ready,
            event=event_layout(CONFIG).const(event).as_bits(),
        )
        counts = TALLY.from_bits(seen.counts)
        if len(self._due) == TALLY_CYCLES:
            expected = dict.fromkeys(TALLIED, 0) | self._due.pop(0)
            assert {counter: counts[counter.name] for counter in TALLIED} == expected
        channels = layer["last_channels" if event["tail"] else "group_channels"]
        self._due.append(expect(valid=valid, ready=ready, pattern=event["pattern"], channels=channels))

    async def reset(self, dut) -> None:
        """What was counted before is forgotten; what the registers hold after it is not compared."""
        await reset(dut, 1)
        self._due.clear()


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_events(dut):
    """Events, silent positions, stalls, gaps and resets; full and partial groups, up to all lanes at all timesteps."""
    bench = Bench(dut)
    await start(dut)
    rng = generator("events")
    for _ in range(60):
        layer = {
            "group_channels": rng.choice((CONFIG.lanes, rng.randint(1, CONFIG.lanes))),
            "last_channels": rng.choice((1, CONFIG.lanes, rng.randint(1, CONFIG.lanes))),
        }
        # The channels of a layer are registered before its first event.
        await bench.reset(dut)
        for _ in range(30):
            event = {
                "row": rng.getrandbits(24),
                "pattern": rng.choice((0, ALL_STEPS, rng.randint(0, ALL_STEPS))),
                "last": rng.getrandbits(1),
                "tail": rng.getrandbits(1),
            }
            await bench.check(layer, valid=rng.random() < 0.7, ready=rng.random() < 0.7, event=event)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def every_pattern(dut):
    """Every pattern, in the last group and before it, with all lanes in use."""
    bench = Bench(dut)
    await start(dut)
    layer = {"group_channels": CONFIG.lanes, "last_channels": 1}
    for pattern in range(ALL_STEPS + 1):
        for tail in (0, 1):
            event = {"row": 0, "pattern": pattern, "last": 0, "tail": tail}
            await bench.check(layer, valid=True, ready=True, event=event)
