"""Words to events, against a list of words."""

from collections.abc import Iterator

import cocotb
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge

from hw.serial.config import SerialConfig, place_layout
from hw.serial.lanes import event_layout
from hw.serial.walker import Item, item_layout
from sim.streams import StreamSink, StreamSource, generator, monitor, parameters, reset, settled, start

CONFIG = SerialConfig(**parameters())
LANES, ROWS = CONFIG.lanes, CONFIG.weight_depth
ALL = 2**LANES - 1
EVENT, ITEM = event_layout(CONFIG), item_layout(CONFIG)


class Memory:
    """Spike memory: random words, none of them known but in the cycle after it was read. Writes block it at random."""

    def __init__(self, dut, *, spikes: float, blocked: float, name: str):
        self.rng = generator(f"memory {name}")
        self.words = [
            sum(1 << lane for lane in range(LANES) if self.rng.random() < spikes) for _ in range(CONFIG.spike_depth)
        ]
        self._dut, self._blocked = dut, blocked
        self._task = cocotb.start_soon(self._serve())

    def stop(self) -> None:
        """Stop answering."""
        self._task.cancel()

    async def _serve(self) -> None:
        dut = self._dut
        while True:
            dut.blocked.value = self.rng.random() < self._blocked
            await ReadOnly()
            read = int(dut.address.value) if dut.enable.value else None
            assert read is None or not dut.blocked.value
            await RisingEdge(dut.clk)
            dut.data.value = self.rng.getrandbits(LANES) if read is None else self.words[read]


def random_items(rng, count: int) -> list[dict]:
    """Words, masks and ends of places, as `hw.serial.walker.item_layout` has them; a mask first."""
    items = []
    for number in range(count):
        kind = rng.choices(list(Item), weights=(8, 2, 1, 2))[0] if number else Item.MASK
        place = {"row": rng.randrange(CONFIG.side), "column": rng.randrange(CONFIG.side), "step": rng.randrange(8)}
        place |= {"first": rng.getrandbits(1), "last": rng.getrandbits(1)}
        row = rng.randrange(ROWS // LANES) * LANES
        items.append({"item": kind, "address": rng.randrange(CONFIG.spike_depth), "row": row, "place": place})
    return items


def expected(items: list[dict], words: list[int], whole: bool) -> Iterator[tuple]:
    """Events (row, lanes) and places, in order."""
    mask = 0
    for item in items:
        word = words[item["address"]]
        if item["item"] == Item.MASK:
            mask = word
        elif item["item"] == Item.CLOSE:
            yield tuple(item["place"].values())
        else:
            word &= mask if item["item"] == Item.MASKED else ALL
            if whole and word:
                yield item["row"], word
            elif not whole:
                yield from ((item["row"] + lane, ALL) for lane in range(LANES) if word >> lane & 1)


class Recorder:
    """Events and places in the order in which they leave."""

    def __init__(self, dut):
        self.seen: list[tuple] = []
        self.cycles = 0
        self._dut = dut
        self._task = cocotb.start_soon(self._run())

    def stop(self) -> None:
        """Stop recording."""
        self._task.cancel()

    async def _run(self) -> None:
        dut = self._dut
        while True:
            await FallingEdge(dut.clk)
            self.cycles += 1
            if dut.event__valid.value:
                assert not dut.close__valid.value
                event = EVENT.from_bits(int(dut.event__payload.value))
                self.seen.append((event.row, event.lanes))
            if dut.close__valid.value and dut.close__ready.value:
                place = place_layout(CONFIG).from_bits(int(dut.close__payload.value))
                self.seen.append(tuple(place[name] for name in ("row", "column", "step", "first", "last")))


async def check(dut, items: list[dict], *, whole: bool, spikes: float, stall: float, name: str) -> int:
    """Send items and compare all that leaves; returns the cycles it took."""
    dut.whole.value = whole
    memory = Memory(dut, spikes=spikes, blocked=stall / 3, name=name)
    source = StreamSource(dut, "i", stall=stall, rng=generator(f"source {name}"))
    sink = StreamSink(dut, "close", stall=stall, rng=generator(f"sink {name}"))
    await RisingEdge(dut.clk)
    recorder = Recorder(dut)
    source.put(ITEM.const(item).as_value().value for item in items)
    await source.drained()
    await settled(dut)
    for part in (memory, source, sink, recorder):
        part.stop()
    assert recorder.seen == list(expected(items, memory.words, whole))
    return recorder.cycles


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def random_items_and_stalls(dut):
    """Spikes one by one and words as a whole, few and many, with and without pauses."""
    await start(dut)
    monitor(dut, ["close"])
    rng = generator("items")
    for whole in (False, True):
        for spikes in (0.02, 0.2, 0.9):
            for stall in (0.0, 0.6):
                name = f"{whole} {spikes} {stall}"
                await check(dut, random_items(rng, 300), whole=whole, spikes=spikes, stall=stall, name=name)


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def one_event_a_cycle(dut):
    """When all neurons fire, or words are sent whole, an event leaves in every cycle."""
    await start(dut)
    rng = generator("full")
    items = [item | {"item": Item.WORD} for item in random_items(rng, 200)]
    for whole, events in ((False, 200 * LANES), (True, 200)):
        cycles = await check(dut, items, whole=whole, spikes=1.0, stall=0.0, name="full")
        assert events <= cycles <= events + 8


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def reset_in_flight(dut):
    """A reset drops all that is on its way."""
    await start(dut)
    rng = generator("reset")
    for age in range(1, 30):
        dut.whole.value = 0
        memory = Memory(dut, spikes=0.3, blocked=0.0, name="reset")
        source = StreamSource(dut, "i")
        source.put(ITEM.const(item).as_value().value for item in random_items(rng, 100))
        for _ in range(age):
            await RisingEdge(dut.clk)
        source.stop()
        memory.stop()
        await reset(dut, 1)
        await check(dut, random_items(rng, 30), whole=False, spikes=0.3, stall=0.2, name=f"after {age}")
