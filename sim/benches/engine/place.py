"""The places of output positions against the geometry of their layers."""

import random

import cocotb

from hw.config import HardwareConfig
from hw.engine.loops import STEP_CYCLES
from hw.engine.place import position_layout
from sim.benches.clocked import Clocked
from sim.benches.event_layer import EventLayer
from sim.streams import generator, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
PLACE = position_layout(CONFIG)


def expected(layer: EventLayer) -> list[dict[str, int]]:
    """The places of a layer in the order of execution."""
    places = []
    for group in range(layer.groups):
        places += [place | {"group_end": 0, "end": 0} for place in layer.places(group)]
        places[-1]["group_end"] = 1
    places[-1]["end"] = 1
    return [{name: place[name] % 2**field.width for name, field in PLACE} for place in places]


def random_layer(rng: random.Random) -> EventLayer:
    side = rng.choice((1, 1, 2, 3))
    return EventLayer(
        config=CONFIG,
        height=side * rng.randint(1, 4),
        width=side * rng.randint(1, 4),
        channels=1,
        outputs=rng.randint(1, 4 * CONFIG.lanes),
        side=side,
        planes=rng.choice((1, 1, 3)),
        passes=rng.randint(1, CONFIG.passes),
    )


async def prepare(dut) -> Clocked:
    place = Clocked(dut, ["here"])
    place.set(layer=0, start=0, step=0)
    await start(dut)
    return place


async def check(place: Clocked, rng: random.Random, layer: EventLayer, *, stall: float, count: int | None = None):
    """Start a layer and step through ``count`` of its positions, or all; a place stays until the next step."""
    await place.cycle(layer=layer.descriptor(), start=1, step=0)
    place.set(start=0)
    for wanted in expected(layer)[:count]:
        for _ in range(STEP_CYCLES - 1):
            await place.cycle(step=0)
        step = False
        while not step:
            step = rng.random() >= stall
            here = PLACE.from_bits((await place.cycle(step=step)).here)
            assert {name: here[name] for name in wanted} == wanted, layer
    place.set(step=0)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def random_layers(dut):
    """Layers of all shapes one right after the other, a step as soon as it may be and with waits."""
    place = await prepare(dut)
    rng = generator("layers")
    for stall in (0.0, 0.5):
        for _ in range(30):
            await check(place, rng, random_layer(rng), stall=stall)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def corners(dut):
    """One position, full groups only, and as many channel beats as a current can name."""
    place = await prepare(dut)
    rng = generator("corners")
    for size, outputs in ((1, 1), (1, 3 * CONFIG.lanes), (2, 252 * CONFIG.beat_channels)):
        layer = EventLayer(config=CONFIG, height=size, width=size, channels=1, outputs=outputs)
        await check(place, rng, layer, stall=0.0)


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def starts_and_resets_in_the_middle(dut):
    """A start in the middle of a layer, after a reset or not, begins the next one at its first position."""
    place = await prepare(dut)
    rng = generator("middle")
    for _ in range(40):
        await check(place, rng, random_layer(rng), stall=0.2, count=rng.randint(1, 40))
        if rng.random() < 0.5:
            await reset(dut)
        await check(place, rng, random_layer(rng), stall=0.0)
