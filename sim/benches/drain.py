"""The drain against folds of the integer model: what leaves, and in which cycle."""

import random

import cocotb
import torch
from cocotb.triggers import RisingEdge

from golden.integer import max_pool, window_sums
from hw.beats import current_layout
from hw.config import HardwareConfig
from hw.program import Fold, Target
from sim.benches.event_layer import EventLayer
from sim.benches.probe import Probe
from sim.streams import StreamSource, generator, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
P, T, LANES = CONFIG.beat_channels, CONFIG.timesteps, CONFIG.lanes
LIMIT = 2 ** (CONFIG.acc_bits - 1)
PORTS = ["start", "sums__valid", "sums__ready", "beats", "currents__valid", "currents__payload", "done"]


def random_sums(rng: random.Random, layer: EventLayer) -> torch.Tensor:
    """What every position summed, int64 [planes, T, groups * LANES, height, width], often at its limits."""
    # The planes of a pixel are so small that their weighted sum is a current.
    limit = LIMIT if layer.planes == 1 else 2 ** (CONFIG.current_bits - T * layer.planes - 1)
    shape = (layer.planes, T, layer.groups * LANES, layer.height, layer.width)
    count = torch.Size(shape).numel()
    values = [rng.choice((0, -limit, limit - 1, rng.randint(-limit, limit - 1))) for _ in range(count)]
    return torch.tensor(values).reshape(shape)


def beats_of(layer: EventLayer, group: int) -> range:
    """Channel beats of a group."""
    first = group * CONFIG.group_beats
    return range(first, min(first + CONFIG.group_beats, layer.output_beats))


def channels(beat: int) -> slice:
    return slice(beat * P, (beat + 1) * P)


def offered(layer: EventLayer, sums: torch.Tensor) -> list[int]:
    """The beats that the lanes offer: sums that run on from position to position and from group to group."""
    running, items = torch.zeros(T, LANES, dtype=torch.int64), []
    for group in range(layer.groups):
        for y, x, plane in layer.walk():
            running += sums[plane, :, group * LANES : (group + 1) * LANES, y, x]
            for beat in range(len(beats_of(layer, group))):
                items.append(pack(running[:, channels(beat)].T.flatten().tolist(), CONFIG.acc_bits))
    return items


def fold(layer: EventLayer, sums: torch.Tensor) -> torch.Tensor:
    """Currents of all tiles, [T, channels, rows, columns]."""
    if layer.fold is Fold.BITS:
        shifts = [T * (layer.planes - 1 - plane) + step for plane in range(layer.planes) for step in range(T)]
        weights = 2 ** torch.tensor(shifts).reshape(layer.planes, T, 1, 1, 1)
        return (sums * weights).sum(dim=(0, 1)).expand(T, -1, -1, -1)
    return max_pool(sums[0], 2) if layer.fold is Fold.MAX else window_sums(sums[0], layer.side)


def record(layer: EventLayer, tile: int, beat: int, values: torch.Tensor, **fields: int) -> int:
    """Payload of a current; values [T, P]."""
    tiles = layer.height * layer.width // layer.side**2
    marks = {"channel": beat, "first": tile == 0, "last": tile == tiles - 1}
    packed = pack(values.T.flatten().tolist(), CONFIG.current_bits)
    return current_layout(CONFIG).const(fields | marks).as_bits() | packed


def expect(layer: EventLayer, sums: torch.Tensor, taken: list[int]) -> tuple[dict[int, int], int]:
    """Payloads by the cycle in which they leave, and the cycle of the end, from the cycles in which beats are taken."""
    folded = fold(layer, sums) if layer.tile else None
    payloads, cycles, end = {}, iter(taken), 0
    positions = layer.side**2 * layer.planes
    for group in range(layer.groups):
        beats = beats_of(layer, group)
        for number, (y, x, plane) in enumerate(layer.walk()):
            tile = number // positions
            for beat in beats:
                end = next(cycles) + 3
                if layer.position:
                    address = (y * layer.width + x) * layer.output_beats + beat
                    target = {"target": layer.position, "params": layer.position_params + beat, "address": address}
                    payloads[end] = record(layer, tile, beat, sums[plane, :, channels(beat), y, x], **target)
            if layer.tile and number % positions == positions - 1:
                row, column = divmod(tile, layer.width // layer.side)
                for beat in beats:
                    end += 1
                    address = tile * layer.output_beats + beat
                    target = {"target": layer.tile, "params": layer.tile_params + beat, "address": address}
                    payloads[end] = record(layer, tile, beat, folded[:, channels(beat), row, column], **target)
    return payloads, end


def random_layer(rng: random.Random) -> EventLayer:
    """A layer with one of the combinations of fold and targets that networks have; outputs in all sizes."""
    choices = [
        {"position": rng.choice((Target.SPIKES, Target.STREAM_ADD, Target.STREAM_CLOSE, Target.LOGITS))},
        {"fold": Fold.MAX, "side": 2, "tile": rng.choice((Target.SPIKES, Target.STREAM_OPEN))},
        {"fold": Fold.SUM, "side": rng.randint(1, 3), "tile": Target.QUERY},
        {"fold": Fold.SUM, "side": rng.randint(1, 3), "position": Target.SPIKES, "tile": Target.KEY},
        {"fold": Fold.BITS, "planes": CONFIG.chunks, "tile": Target.SPIKES},
    ]
    chosen = {"side": 1} | rng.choice(choices)
    return EventLayer(
        config=CONFIG,
        height=chosen["side"] * rng.randint(1, 3),
        width=chosen["side"] * rng.randint(1, 3),
        channels=P,
        outputs=rng.randint(1, 3 * LANES),
        position_params=rng.getrandbits(14),
        tile_params=rng.getrandbits(14),
        **chosen,
    )


def idle(dut) -> StreamSource:
    dut.start.value = dut.layer.value = 0
    return StreamSource(dut, "sums")


async def begin(dut, layer: EventLayer) -> None:
    """Start a layer; returns after the cycle of the start."""
    dut.layer.value, dut.start.value = layer.descriptor(), 1
    await RisingEdge(dut.clk)
    dut.start.value = 0


async def run(dut, source: StreamSource, layer: EventLayer, sums: torch.Tensor) -> Probe:
    """Run one layer to its end and compare every cycle."""
    probe = Probe(dut, PORTS)
    await begin(dut, layer)
    source.put(offered(layer, sums))
    while not (probe.cycles and probe.cycles[-1].done):
        await RisingEdge(dut.clk)
    probe.stop()
    taken = [number for number, cycle in enumerate(probe.cycles) if cycle.sums__valid and cycle.sums__ready]
    payloads, end = expect(layer, sums, taken)
    assert not source.queue
    seen = {number: cycle.currents__payload for number, cycle in enumerate(probe.cycles) if cycle.currents__valid}
    assert seen == payloads, layer
    assert probe.when("done") == [end]
    sizes = [len(beats_of(layer, group)) for group in range(layer.groups) for _ in layer.walk()]
    assert [probe.cycles[number].beats for number in taken] == [size for size in sizes for _ in range(size)]
    return probe


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def random_layers(dut):
    """Layers of all kinds one right after the other, with and without gaps between the beats."""
    source = idle(dut)
    await start(dut)
    rng = generator("layers")
    for stall in (0.0, 0.6):
        source.stall = stall
        for _ in range(30):
            layer = random_layer(rng)
            await run(dut, source, layer, random_sums(rng, layer))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def single_beats(dut):
    """One position of one beat, for every fold."""
    source = idle(dut)
    await start(dut)
    rng = generator("single")
    sizes = {"config": CONFIG, "height": 1, "width": 1, "channels": P, "outputs": 1}
    for choice in (
        {"position": Target.LOGITS},
        {"fold": Fold.SUM, "position": Target.SPIKES, "tile": Target.KEY},
        {"fold": Fold.BITS, "planes": CONFIG.chunks, "tile": Target.SPIKES},
    ):
        layer = EventLayer(**sizes, **choice)
        await run(dut, source, layer, random_sums(rng, layer))


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def throughput(dut):
    """One beat a cycle; a tile costs its beats and two cycles more."""
    source = idle(dut)
    await start(dut)
    rng = generator("throughput")
    for tile in (Target.NONE, Target.QUERY):
        choices = {"side": 2, "fold": Fold.SUM, "position": Target.SPIKES, "tile": tile}
        layer = EventLayer(config=CONFIG, height=4, width=4, channels=P, outputs=LANES + 1, **choices)
        probe = await run(dut, source, layer, random_sums(rng, layer))
        taken = [number for number, cycle in enumerate(probe.cycles) if cycle.sums__valid and cycle.sums__ready]
        beats = CONFIG.group_beats + 1
        # The last tile's own beats come after the last beat is taken.
        tiles = 4 * (beats + 2 * layer.groups) - (1 + 2) if tile else 0
        assert taken[-1] - taken[0] + 1 == 16 * beats + tiles


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def reset_in_flight(dut):
    """After a reset in the middle of a layer nothing leaves, and the next layer is whole."""
    idle(dut).stop()
    await start(dut)
    rng = generator("reset")
    for age in range(1, 25):
        layer = random_layer(rng)
        source = StreamSource(dut, "sums")
        await begin(dut, layer)
        source.put(offered(layer, random_sums(rng, layer)))
        for _ in range(age):
            await RisingEdge(dut.clk)
        source.stop()
        await reset(dut, 1)
        probe = Probe(dut, PORTS)
        for _ in range(3 * CONFIG.group_beats):
            await RisingEdge(dut.clk)
        probe.stop()
        assert not probe.when("currents__valid")
        assert not probe.when("done")
        source = StreamSource(dut, "sums")
        layer = random_layer(rng)
        await run(dut, source, layer, random_sums(rng, layer))
        source.stop()
