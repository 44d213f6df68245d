"""The neuron path against the integer model: every target, the residual stream, passes, latencies and throughput."""

import math
import random
from dataclasses import dataclass, field, replace

import cocotb
import torch
from amaranth import Shape

from golden.config import Reset
from golden.integer import write_stream
from golden.neurons.exact import lif_step
from hw.beats import address_shape, params_shape, route_fields
from hw.config import STREAM_BITS, HardwareConfig
from hw.program import Target
from sim.benches.neurons.pipeline import Recorder, play, serve_memory, with_gaps
from sim.streams import generator, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
P, T, C = CONFIG.beat_channels, CONFIG.timesteps, CONFIG.current_bits
CARRIED = CONFIG.passes > 1
LIMIT, STREAM_LIMIT = 2 ** (C - 1), 2 ** (STREAM_BITS - 1)
WRITE_LATENCY = 7
LATENCY = 7 + 2 * T + CARRIED
SPACING = 2 * T + 3
STREAM_TARGETS = (Target.STREAM_OPEN, Target.STREAM_ADD, Target.STREAM_CLOSE)
PORTS = {
    Target.SPIKES: "spikes",
    Target.STREAM_OPEN: "spikes",
    Target.STREAM_ADD: "spikes",
    Target.MIX: "spikes",
    Target.QUERY: "query",
    Target.KEY: "key",
}
ADDRESS_BITS = address_shape(CONFIG).width
WIDTHS = {name: Shape.cast(shape).width for name, shape in route_fields(CONFIG).items()}


@dataclass(frozen=True, kw_only=True)
class Beat:
    """One input of the path, with the parameters, the old stream and the membranes that it will find."""

    target: Target
    x: torch.Tensor  # currents with bias, int32 [T, P]
    bias: list[int]
    shift: torch.Tensor  # int32 [P]
    old: torch.Tensor  # int32 [T, P]
    before: torch.Tensor  # int32 [P]
    params: int
    route: dict[str, int]
    threshold: torch.Tensor | None = None  # int32 [P]

    def payload(self) -> int:
        """The beat as the input stream carries it."""
        currents = (self.x - torch.tensor(self.bias)).T.flatten().tolist()
        return join(
            (pack(currents, C), P * T * C),
            (self.target, 4),
            (self.params, params_shape(CONFIG).width),
            *routed(self.route),
        )

    def parameters(self) -> int:
        """Its beat of parameter memory."""
        channels = zip(self.bias, self.threshold.tolist(), self.shift.tolist(), strict=True)
        return pack((join((bias, C), (threshold, C), (shift, 2)) for bias, threshold, shift in channels), 2 * C + 2)

    def new_stream(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The stream after the beat, [T, P], and how many values of each timestep were clamped, [T]."""
        old = torch.zeros_like(self.old) if self.target is Target.STREAM_OPEN else self.old
        new, clamped = write_stream(old[:, None, :, None, None], self.x[:, None, :, None, None], self.shift)
        return new[:, 0, :, 0, 0], clamped[:, 0]

    def fire(self, threshold: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the neurons fire with these thresholds, uint8 [T, P], and their membranes after every step, [T, P]."""
        v, spikes, membranes = self.before, [], []
        for current in self.new_stream()[0] if self.target is Target.STREAM_ADD else self.x:
            v, spike = lif_step(v, current, threshold, reset=Reset.HARD)
            spikes.append(spike)
            membranes.append(v)
        return torch.stack(spikes).to(torch.uint8), torch.stack(membranes)


@dataclass(kw_only=True)
class World:
    """What is stored between beats: the residual stream, [T, P] a beat, and membranes, [P] for the states in use."""

    stream: list[torch.Tensor]
    states: dict[int, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def random(cls, rng: random.Random) -> "World":
        """A random residual stream, and no state in use."""
        shape = (CONFIG.stream_depth, T, P)
        limits = (-STREAM_LIMIT, STREAM_LIMIT - 1)
        values = [rng.choice((rng.randint(-300, 300), *limits)) for _ in range(math.prod(shape))]
        return cls(stream=list(torch.tensor(values, dtype=torch.int32).reshape(shape)))

    def step(self, beat: Beat):
        """Store what the beat stores."""
        if beat.target in STREAM_TARGETS:
            self.stream[beat.route["address"]] = beat.new_stream()[0]
        if beat.target in PORTS and CARRIED:
            self.states[beat.route["state"]] = beat.fire(beat.threshold)[1][-1]


def join(*fields: tuple[int, int]) -> int:
    """Fields (value, width) side by side, the first one lowest."""
    word, offset = 0, 0
    for value, width in fields:
        word |= (value & (1 << width) - 1) << offset
        offset += width
    return word


def routed(route: dict[str, int]) -> list[tuple[int, int]]:
    """The fields of a route, to be joined."""
    return [(route[name], width) for name, width in WIDTHS.items()]


def flat(values: torch.Tensor, width: int) -> int:
    """[T, P] as a beat, timesteps innermost."""
    return pack(values.T.flatten().tolist(), width)


def random_value(rng: random.Random, low: int, high: int) -> int:
    """A number in a range around 0, of any magnitude, or one of the ends of the range."""
    size = 2 ** rng.randint(0, high.bit_length())
    inner = rng.randint(max(low, -size), min(high, size - 1))
    return rng.choice((inner, inner, inner, low, high, 0))


def random_x(rng: random.Random, old: int, shift: int, target: Target) -> int:
    """A current; half of those that reach the stream take it to one of its limits, or just beyond."""
    if target not in STREAM_TARGETS:
        return random_value(rng, -LIMIT, LIMIT - 1)
    start = 0 if target is Target.STREAM_OPEN else old
    if rng.random() < 0.5:
        low, high = -(LIMIT + start >> shift), LIMIT - 1 - start >> shift
        return random_value(rng, max(low, -LIMIT), min(high, LIMIT - 1))
    edge = rng.choice((-STREAM_LIMIT, STREAM_LIMIT - 1))
    return (edge - start + rng.randint(-2, 2) >> shift) + rng.randint(-1, 1)


def random_threshold(rng: random.Random, beat: Beat) -> torch.Tensor:
    """Thresholds [P] that the membranes hit, or miss by one, at some timestep."""
    _, membranes = beat.fire(torch.tensor(LIMIT))
    values = [int(membranes[rng.randrange(T)][channel]) + rng.choice((-1, 0, 1)) for channel in range(P)]
    return torch.tensor(values, dtype=torch.int32).clamp(-LIMIT, LIMIT - 1)


def random_bias(rng: random.Random, x: torch.Tensor) -> list[int]:
    """Biases [P] of currents with bias [T, P]: bias, current and their sum all have the width of a current."""
    lows, highs = x.amax(dim=0) - (LIMIT - 1), x.amin(dim=0) + LIMIT
    ranges = zip(lows.clamp(min=-LIMIT).tolist(), highs.clamp(max=LIMIT - 1).tolist(), strict=True)
    return [rng.choice((0, rng.randint(low, high))) for low, high in ranges]


def random_beat(rng: random.Random, world: World, target: Target, **route: int) -> Beat:
    """A beat with random numbers, and a random route but for the fields that are given."""
    route = {name: rng.getrandbits(width) for name, width in WIDTHS.items()} | route
    if route["state"] not in world.states:
        route["pass_number"] = 0
    route["pass_number"] %= CONFIG.passes
    before = world.states[route["state"]] if route["pass_number"] else torch.zeros(P, dtype=torch.int32)
    old = world.stream[route["address"] % CONFIG.stream_depth]
    shift = [rng.randrange(4) for _ in range(P)]
    x = [[random_x(rng, int(old[t, p]), shift[p], target) for p in range(P)] for t in range(T)]
    x, shift = torch.tensor(x, dtype=torch.int32), torch.tensor(shift, dtype=torch.int32)
    found = {"old": old, "before": before, "params": rng.randrange(CONFIG.param_depth)}
    beat = Beat(target=target, x=x, bias=random_bias(rng, x), shift=shift, route=route, **found)
    return replace(beat, threshold=random_threshold(rng, beat))


def places(rng: random.Random, depth: int, apart: int, index: int) -> int:
    """An address whose remainder is that of ``index``: equal ones are ``apart`` beats apart, and some just that."""
    return rng.choice((0, apart, (depth // apart - 1) * apart)) + index % apart


def random_beats(rng: random.Random, world: World, count: int) -> list[Beat]:
    """Beats that can follow each other at once; the world is updated.

    No beat reads the stream or a state before it is written, but some do in the first cycle in which they may.
    """
    beats = []
    for index, params in enumerate(rng.sample(range(CONFIG.param_depth), count)):
        target = rng.choice(list(Target))
        address = places(rng, CONFIG.stream_depth, WRITE_LATENCY, index)
        route = {"address": address if target in STREAM_TARGETS else rng.getrandbits(ADDRESS_BITS)}
        route["state"] = places(rng, CONFIG.state_depth, SPACING, index)
        beat = replace(random_beat(rng, world, target, **route), params=params)
        world.step(beat)
        beats.append(beat)
    return beats


class Memories:
    """Parameter and stream memory around the design, and what it does with them in every cycle."""

    def __init__(self, dut, stream: list[torch.Tensor]):
        self.dut = dut
        self.params: dict[int, int] = {}
        self.stream = {address: flat(values, STREAM_BITS) for address, values in enumerate(stream)}
        cocotb.start_soon(serve_memory(dut, "params", lambda address: self.params.get(address, 0)))
        cocotb.start_soon(serve_memory(dut, "stream", self._read_and_write))

    def _read_and_write(self, address: int) -> int:
        value = self.stream.get(address, 0)
        if self.dut.stream_write__valid.value:
            written = int(self.dut.stream_write__payload.value)
            self.stream[written & 2**ADDRESS_BITS - 1] = written >> ADDRESS_BITS
        return value


def expect(beats: dict[int, Beat], settings: dict[str, int]) -> tuple[dict[str, dict[int, int]], dict[int, int]]:
    """What leaves, by port and cycle, and the saturations by cycle, for beats by the cycle in which they enter."""
    ports = {name: {} for name in ("stream_write", "logits", "spikes", "query", "key")}
    saturations = {}
    for cycle, beat in beats.items():
        mask = settings["step_mask"] if beat.route["pass_number"] == settings["last_pass"] else 2**T - 1
        steps = torch.tensor([mask >> step & 1 for step in range(T)], dtype=torch.uint8)
        address = (beat.route["address"], ADDRESS_BITS)
        if beat.target in STREAM_TARGETS:
            new, clamped = beat.new_stream()
            ports["stream_write"][cycle + WRITE_LATENCY] = join(address, (flat(new, 16), P * T * 16))
            saturations[cycle + WRITE_LATENCY] = int((clamped * steps).sum())
        if beat.target is Target.LOGITS:
            ports["logits"][cycle + WRITE_LATENCY] = join(address, (flat(beat.x, C), P * T * C))
        if port := PORTS.get(beat.target):
            based = port == "spikes" and beat.target is not Target.MIX
            route = beat.route | {"address": beat.route["address"] + based * settings["output_base"]}
            spikes, _ = beat.fire(beat.threshold)
            ports[port][cycle + LATENCY] = join((flat(spikes * steps[:, None], 1), P * T), *routed(route))
    return ports, saturations


async def check(dut, beats: list[Beat], memories: Memories, *, stall: float, **settings: int):
    """Send beats, and compare all that leaves, and what was stored, with the integer model."""
    rng = generator(f"gaps {stall}")
    defaults = {"output_base": rng.getrandbits(ADDRESS_BITS), "step_mask": 2**T - 1, "last_pass": CONFIG.passes - 1}
    settings = defaults | settings
    for name, value in settings.items():
        getattr(dut, name).value = value
    memories.params = {beat.params: beat.parameters() for beat in beats}
    schedule = [*with_gaps(beats, stall, rng), *[None] * (LATENCY + 1)]
    offered = {cycle: beat for cycle, beat in enumerate(schedule) if beat is not None}
    occupied = {cycle + delay for cycle in offered for delay in range(LATENCY + 1)}
    ports, saturations = expect(offered, settings)

    def check_cycle(cycle):
        arrived, fetched, leaving = (offered.get(cycle - age) for age in (1, 2, LATENCY))
        reads = arrived is not None and arrived.target in (Target.STREAM_ADD, Target.STREAM_CLOSE)
        assert dut.stream_read.value == reads, f"stream_read in cycle {cycle}"
        if fetched is not None:
            assert dut.params_mixed.value == (fetched.target is Target.MIX), f"params_mixed in cycle {cycle}"
        assert dut.busy.value == (cycle in occupied), f"busy in cycle {cycle}"
        assert dut.saturations.value == saturations.get(cycle, 0), f"saturations in cycle {cycle}"
        mixed = leaving is not None and leaving.target is Target.MIX
        assert dut.mixed.value == mixed, f"mixed in cycle {cycle}"

    recorder = Recorder(dut, list(ports))
    payloads = [None if beat is None else beat.payload() for beat in schedule]
    await play(dut, payloads, recorder, rng, each_cycle=check_cycle)
    assert recorder.items == ports


@cocotb.test()
async def every_target(dut):
    """Random beats to random targets in random passes, back to back and with gaps, the same memories going on."""
    rng = generator("beats")
    world = World.random(rng)
    memories = Memories(dut, world.stream)
    await start(dut)
    for stall in (0.0, 0.5):
        await check(dut, random_beats(rng, world, 400), memories, stall=stall)
    assert list(memories.stream.values()) == [flat(values, STREAM_BITS) for values in world.stream]
    carried = [state for state in world.states.values() if state.any()]
    assert bool(carried) == CARRIED


@cocotb.test()
async def fewer_timesteps(dut):
    """In the last pass, timesteps that the model does not have neither spike nor count as clamped."""
    rng = generator("beats")
    world = World.random(rng)
    memories = Memories(dut, world.stream)
    await start(dut)
    for steps in range(1, T):
        last = rng.randrange(CONFIG.passes)
        beats = random_beats(rng, world, 60)
        await check(dut, beats, memories, stall=0.2, step_mask=2**steps - 1, last_pass=last)


@cocotb.test()
async def reset_in_flight(dut):
    """A reset drops what is inside, and the path works as before."""
    rng = generator("beats")
    world = World.random(rng)
    memories = Memories(dut, world.stream)
    await start(dut)
    for age in range(1, LATENCY + 1):
        beat = random_beat(rng, world, Target.SPIKES, address=0, state=CONFIG.state_depth - 1)
        await play(dut, [beat.payload(), *[None] * (age - 1)], Recorder(dut, []), rng)
        await reset(dut, 1)
        await check(dut, random_beats(rng, world, 4), memories, stall=0.0)
