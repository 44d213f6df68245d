"""The walk over random layers, item by item."""

from collections.abc import Iterator

import cocotb
from cocotb.triggers import RisingEdge

from hw.serial.config import SerialConfig
from hw.serial.program import Fold, Mode, pack_descriptor
from hw.serial.walker import Item, item_layout
from sim.benches.serial.layers import Place, places, random_walk
from sim.serial_addresses import map_address
from sim.streams import StreamSink, generator, monitor, parameters, reset, settled, start

CONFIG = SerialConfig(**parameters())
LAYOUT = item_layout(CONFIG)


def window(fields: dict[str, int], group: int, place: Place) -> Iterator[tuple[Item, int, int] | None]:
    """Item, address and row of weights of everything that a place asks for; None for a tap outside."""
    mode, side = fields["mode"], fields["last"] + 1
    common = {"small": fields["small_input"], "step": place.step}
    own = {"slot": fields["input"], "word": group} | common
    if mode is Mode.DEPTHWISE and fields["masked"]:
        row, column = (0, 0) if fields["corner"] else (place.row, place.column)
        at = map_address(CONFIG, slot=fields["mask"], word=group, row=row, column=column, **common)
        yield Item.MASK, at, 0
    weights = 0
    reach = (-1, 0, 1) if fields["kernel3"] else (0,) * (mode is Mode.DENSE)
    for down in reach:
        for right in reach:
            row, column = place.row + down, place.column + right
            inside = 0 <= row < side and 0 <= column < side
            for word in range(fields["last_word"] + 1) if mode is Mode.DENSE else (group,):
                at = map_address(CONFIG, **own | {"word": word}, row=row, column=column) if inside else 0
                yield (Item.WORD, at, weights % CONFIG.weight_depth) if inside else None
                weights += CONFIG.lanes if mode is Mode.DENSE else 1
    for _ in range(fields["extra"]):
        yield Item.MASKED, map_address(CONFIG, **own, row=place.row, column=place.column), weights
        weights += 1


def expected(fields: dict[str, int], group: int) -> list[tuple | None]:
    """The items of a layer; a place in those that close one."""
    items = []
    for place in places(fields):
        if fields["mode"] in (Mode.DENSE, Mode.DEPTHWISE):
            items += window(fields, group, place)
        items.append((Item.CLOSE, place))
    return items


def seen(payload: int) -> tuple:
    """An item as it was sent, without what nobody looks at."""
    item = LAYOUT.from_bits(payload)
    if item.item == Item.CLOSE:
        place = item.place
        return Item.CLOSE, Place(**{name: place[name] for name in Place.__dataclass_fields__})
    return Item(item.item), item.address, item.row if item.item != Item.MASK else 0


def layers(count: int, name: str) -> Iterator[tuple[dict[str, int], int]]:
    """Random layers of every mode, with a group of outputs that has a word."""
    rng = generator(name)
    for number in range(count):
        fields = random_walk(rng, CONFIG, list(Mode)[number % 4])
        words = 4 * CONFIG.words if fields["small_input"] else CONFIG.words
        yield fields, rng.randrange(words if fields["mode"] is Mode.DEPTHWISE else 8)


async def begin(dut, fields: dict[str, int], group: int) -> None:
    """Set a layer up and start it; returns in the first cycle of the walk."""
    dut.layer.value, dut.group.value = pack_descriptor(CONFIG, fields), group
    dut.start.value = 1
    await RisingEdge(dut.clk)
    dut.start.value = 0


async def check(dut, sink: StreamSink, fields: dict[str, int], group: int) -> int:
    """Run one layer and compare; returns the cycles it was busy."""
    await begin(dut, fields, group)
    cycles = await settled(dut)
    wanted = expected(fields, group)
    assert [seen(payload) for payload in sink.items] == [item for item in wanted if item is not None], fields
    sink.items.clear()
    return cycles


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def random_layers_and_stalls(dut):
    """Layers of every mode, one after the other."""
    await start(dut)
    monitor(dut, ["o"])
    for stall in (0.0, 0.5):
        sink = StreamSink(dut, "o", stall=stall)
        for fields, group in layers(40, f"stalls {stall}"):
            cycles = await check(dut, sink, fields, group)
            if not stall:
                assert cycles == len(expected(fields, group))
        sink.stop()


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def planes_of_the_largest_map(dut):
    """Bit-planes that continue in the words, to the last position."""
    await start(dut)
    sink = StreamSink(dut, "o")
    fields = {"mode": Mode.DENSE, "kernel3": 1, "fold": Fold.BITS, "last_step": 7, "last": CONFIG.side - 1}
    unused = dict.fromkeys(("tile_mask", "last_word", "extra", "input", "small_input", "corner", "mask", "masked"), 0)
    await check(dut, sink, unused | fields, 0)


@cocotb.test(timeout_time=50, timeout_unit="ms")
async def reset_in_flight(dut):
    """A reset ends the walk; the next one is whole."""
    await start(dut)
    for number, (fields, group) in enumerate(layers(24, "reset")):
        sink = StreamSink(dut, "o", stall=0.3)
        await begin(dut, fields, group)
        for _ in range(number):
            await RisingEdge(dut.clk)
        await reset(dut, 1)
        sink.items.clear()
        await check(dut, sink, fields, group)
        sink.stop()
