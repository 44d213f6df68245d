"""The counts of events against their definition."""

import cocotb
from cocotb.triggers import Timer

from hw.beats import event_layout
from hw.config import HardwareConfig
from hw.counters import Counter
from hw.program import DESCRIPTOR_LAYOUT
from hw.tally import TALLIED, tally_layout
from sim.streams import generator, parameters

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


async def check(dut, layer: dict[str, int], *, valid: bool, ready: bool, event: dict[str, int]):
    """Compare the increments of one cycle; there is no clock, they belong to the inputs that are there."""
    channels = layer["last_channels" if event["tail"] else "group_channels"]
    expected = expect(valid=valid, ready=ready, pattern=event["pattern"], channels=channels)
    dut.layer.value = DESCRIPTOR_LAYOUT.const(layer).as_bits()
    dut.event.value = event_layout(CONFIG).const(event).as_bits()
    dut.valid.value, dut.ready.value = valid, ready
    await Timer(1, "ns")
    counts = TALLY.from_bits(int(dut.counts.value))
    assert {counter: counts[counter.name] for counter in TALLIED} == dict.fromkeys(TALLIED, 0) | expected


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def random_events(dut):
    """Events, silent positions, stalls and gaps; full and partial groups, up to all lanes at all timesteps."""
    rng = generator("events")
    for _ in range(60):
        layer = {
            "group_channels": rng.choice((CONFIG.lanes, rng.randint(1, CONFIG.lanes))),
            "last_channels": rng.choice((1, CONFIG.lanes, rng.randint(1, CONFIG.lanes))),
        }
        for _ in range(30):
            event = {
                "row": rng.getrandbits(24),
                "pattern": rng.choice((0, ALL_STEPS, rng.randint(0, ALL_STEPS))),
                "last": rng.getrandbits(1),
                "tail": rng.getrandbits(1),
            }
            await check(dut, layer, valid=rng.random() < 0.7, ready=rng.random() < 0.7, event=event)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def every_pattern(dut):
    """Every pattern, in the last group and before it, with all lanes in use."""
    layer = {"group_channels": CONFIG.lanes, "last_channels": 1}
    for pattern in range(ALL_STEPS + 1):
        for tail in (0, 1):
            event = {"row": 0, "pattern": pattern, "last": 0, "tail": tail}
            await check(dut, layer, valid=True, ready=True, event=event)
