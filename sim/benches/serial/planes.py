"""Pixels to bit-planes, against their bits."""

import cocotb

from hw.serial.config import PLANES, SerialConfig, place_layout
from hw.serial.firing import spikes_layout
from hw.serial.program import LEAST_CHANNELS, pack_descriptor
from sim.benches.serial.layers import places
from sim.serial_addresses import map_address
from sim.streams import StreamSink, StreamSource, generator, monitor, parameters, reset, start

CONFIG = SerialConfig(**parameters())


async def check(dut, *, side: int, channels: int, slot: int, stall: float) -> None:
    """Send an image, compare the words that are written."""
    rng = generator(f"image {side} {channels} {slot}")
    fields = {"last": side - 1, "tile_mask": 0, "last_step": PLANES - 1}
    dut.layer.value = pack_descriptor(CONFIG, fields | {"last_channel": channels - 1, "output": slot})
    dut.enable.value = 1
    pixels, planes, sink = (
        StreamSource(dut, "pixels", stall=stall),
        StreamSource(dut, "place"),
        StreamSink(dut, "spikes"),
    )
    image = [rng.choice((0, 255, rng.getrandbits(8))) for _ in range(side * side * channels)]
    wanted = list(places(fields))
    planes.put(place_layout(CONFIG).const(vars(place)).as_value().value for place in wanted)
    pixels.put(image)
    written = [spikes_layout(CONFIG).from_bits(payload) for payload in await sink.get(len(wanted))]
    for place, word in zip(wanted, written, strict=True):
        first = (place.row * side + place.column) * channels
        bits = [value >> (PLANES - 1 - place.step) & 1 for value in image[first : first + channels]]
        at = {"row": place.row, "column": place.column, "step": place.step, "slot": slot}
        assert word.address == map_address(CONFIG, small=0, word=0, **at)
        assert word.data == sum(bit << channel for channel, bit in enumerate(bits))
    for part in (pixels, planes, sink):
        part.stop()


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def random_images(dut):
    """Every number of channels, with and without pauses."""
    await start(dut)
    monitor(dut, ["spikes"])
    for channels in range(1, LEAST_CHANNELS + 1):
        for stall in (0.0, 0.7):
            await check(dut, side=CONFIG.side // 2 + channels, channels=channels, slot=channels - 1, stall=stall)


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def nothing_is_taken_unless_enabled(dut):
    """Pixels wait for their layer."""
    await start(dut)
    dut.enable.value = 0
    pixels = StreamSource(dut, "pixels")
    pixels.put([1, 2, 3])
    for _ in range(20):
        await cocotb.triggers.RisingEdge(dut.clk)
    assert len(pixels.queue) == 3
    pixels.stop()


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def reset_in_flight(dut):
    """A reset drops the channels of a pixel that is not whole."""
    await start(dut)
    for age in range(1, 30, 2):
        pixels, planes = StreamSource(dut, "pixels"), StreamSource(dut, "place")
        pixels.put(range(100))
        planes.put([0] * 100)
        for _ in range(age):
            await cocotb.triggers.RisingEdge(dut.clk)
        pixels.stop()
        planes.stop()
        await reset(dut, 1)
        await check(dut, side=3, channels=3, slot=1, stall=0.2)
