"""The neuron path against the integer model: every target, the residual stream, latencies and throughput."""

import math
import random
from dataclasses import dataclass, replace

import cocotb
import torch

from golden.config import Reset
from golden.integer import lif, lif_step, write_stream
from hw.config import STREAM_BITS, HardwareConfig
from hw.program import Target
from sim.benches.pipeline import Recorder, play, serve_memory, with_gaps
from sim.streams import generator, pack, parameters, reset, start

CONFIG = HardwareConfig(**parameters())
P, T, C = CONFIG.beat_channels, CONFIG.timesteps, CONFIG.current_bits
LIMIT, STREAM_LIMIT = 2 ** (C - 1), 2 ** (STREAM_BITS - 1)
WRITE_LATENCY = 5
LATENCY = 5 + 2 * T
STREAM_TARGETS = (Target.STREAM_OPEN, Target.STREAM_ADD, Target.STREAM_CLOSE)
PORTS = {
    Target.SPIKES: "spikes",
    Target.STREAM_OPEN: "spikes",
    Target.STREAM_ADD: "spikes",
    Target.QUERY: "query",
    Target.KEY: "key",
}


@dataclass(frozen=True, kw_only=True)
class Beat:
    """One input of the path, with the parameters and the old stream that it will find."""

    target: Target
    x: torch.Tensor  # currents with bias, int32 [T, P]
    bias: list[int]
    shift: torch.Tensor  # int32 [P]
    old: torch.Tensor  # int32 [T, P]
    address: int
    params: int
    channel: int
    first: int
    last: int
    threshold: torch.Tensor | None = None  # int32 [P]

    def payload(self) -> int:
        """The beat as the input stream carries it."""
        currents = (self.x - torch.tensor(self.bias)).T.flatten().tolist()
        fields = ((self.target, 3), (self.params, 16), (self.address, 24), (self.channel, 8), (self.first, 1))
        return join((pack(currents, C), P * T * C), *fields, (self.last, 1))

    def parameters(self) -> int:
        """Its beat of parameter memory."""
        channels = zip(self.bias, self.threshold.tolist(), self.shift.tolist(), strict=True)
        return pack((join((bias, C), (threshold, C), (shift, 2)) for bias, threshold, shift in channels), 2 * C + 2)

    def new_stream(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The stream after the beat, [T, P], and how many values of each timestep were clamped, [T]."""
        old = torch.zeros_like(self.old) if self.target is Target.STREAM_OPEN else self.old
        new, clamped = write_stream(old[:, None, :, None, None], self.x[:, None, :, None, None], self.shift)
        return new[:, 0, :, 0, 0], clamped[:, 0]

    def seen(self) -> torch.Tensor:
        """The currents that the neurons see, [T, P]."""
        return self.new_stream()[0] if self.target is Target.STREAM_ADD else self.x

    def spikes(self) -> torch.Tensor:
        """What the neurons fire, uint8 [T, P]."""
        return lif(self.seen(), self.threshold, reset=Reset.HARD)


def join(*fields: tuple[int, int]) -> int:
    """Fields (value, width) side by side, the first one lowest."""
    word, offset = 0, 0
    for value, width in fields:
        word |= (value & (1 << width) - 1) << offset
        offset += width
    return word


def flat(values: torch.Tensor, width: int) -> int:
    """[T, P] as a beat, timesteps innermost."""
    return pack(values.T.flatten().tolist(), width)


def random_value(rng: random.Random, limit: int) -> int:
    """A number of any magnitude, or one of the ends of the range."""
    size = min(limit, 2 ** rng.randint(0, limit.bit_length() - 1))
    return rng.choice((rng.randint(-size, size - 1), rng.randint(-size, size - 1), -limit, limit - 1, 0))


def random_x(rng: random.Random, old: int, shift: int, target: Target) -> int:
    """A current; half of those that reach the stream take it to one of its limits, or just beyond."""
    if target not in STREAM_TARGETS or rng.random() < 0.5:
        return random_value(rng, LIMIT)
    start = 0 if target is Target.STREAM_OPEN else old
    edge = rng.choice((-STREAM_LIMIT, STREAM_LIMIT - 1))
    return (edge - start + rng.randint(-2, 2) >> shift) + rng.randint(-1, 1)


def random_threshold(rng: random.Random, seen: torch.Tensor) -> torch.Tensor:
    """Thresholds [P] that the membranes of currents [T, P] hit, or miss by one, at some timestep."""
    v, membranes = torch.zeros_like(seen[0]), []
    for current in seen:
        v, _ = lif_step(v, current, LIMIT, reset=Reset.HARD)
        membranes.append(v)
    values = [int(membranes[rng.randrange(T)][channel]) + rng.choice((-1, 0, 1)) for channel in range(P)]
    return torch.tensor(values, dtype=torch.int32).clamp(-LIMIT, LIMIT - 1)


def random_bias(rng: random.Random, x: torch.Tensor) -> list[int]:
    """Biases [P] of currents with bias [T, P]: bias, current and their sum all have the width of a current."""
    lows, highs = x.amax(dim=0) - (LIMIT - 1), x.amin(dim=0) + LIMIT
    ranges = zip(lows.clamp(min=-LIMIT).tolist(), highs.clamp(max=LIMIT - 1).tolist(), strict=True)
    return [rng.choice((0, rng.randint(low, high))) for low, high in ranges]


def random_beat(rng: random.Random, old: torch.Tensor, target: Target, address: int, params: int) -> Beat:
    """A beat with random numbers."""
    shift = [rng.randrange(4) for _ in range(P)]
    x = [[random_x(rng, int(old[t, p]), shift[p], target) for p in range(P)] for t in range(T)]
    x = torch.tensor(x, dtype=torch.int32)
    shift = torch.tensor(shift, dtype=torch.int32)
    marks = {"channel": rng.randrange(256), "first": rng.randrange(2), "last": rng.randrange(2)}
    beat = Beat(
        target=target, x=x, bias=random_bias(rng, x), shift=shift, old=old, address=address, params=params, **marks
    )
    return replace(beat, threshold=random_threshold(rng, beat.seen()))


def random_beats(rng: random.Random, memory: list[torch.Tensor], count: int) -> list[Beat]:
    """Beats that can follow each other at once; ``memory`` is the stream, and is updated.

    Consecutive beats have stream addresses of different remainders, so that no beat is read before it is written, but
    some are read in the first cycle in which they may be.
    """
    apart = WRITE_LATENCY + 1
    blocks = (0, apart, (CONFIG.stream_depth // apart - 1) * apart)
    beats = []
    for index, params in enumerate(rng.sample(range(CONFIG.param_depth), count)):
        target = rng.choice(list(Target))
        address = rng.choice(blocks) + index % apart if target in STREAM_TARGETS else rng.getrandbits(24)
        old = memory[address % CONFIG.stream_depth]
        beat = random_beat(rng, old, target, address, params)
        if target in STREAM_TARGETS:
            memory[address] = beat.new_stream()[0]
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
            written, values = split(int(self.dut.stream_write__payload.value))
            self.stream[written] = values
        return value


def split(word: int) -> tuple[int, int]:
    """Address and data of a write."""
    return word & 2**24 - 1, word >> 24


def expect(beats: dict[int, Beat], step_mask: int, base: int) -> tuple[dict[str, dict[int, int]], dict[int, int]]:
    """What leaves, by port and cycle, and the saturations by cycle, for beats by the cycle in which they enter."""
    ports = {name: {} for name in ("stream_write", "logits", "spikes", "query", "key")}
    saturations = {}
    steps = torch.tensor([step_mask >> step & 1 for step in range(T)], dtype=torch.uint8)
    for cycle, beat in beats.items():
        address = (beat.address, 24)
        if beat.target in STREAM_TARGETS:
            new, clamped = beat.new_stream()
            ports["stream_write"][cycle + WRITE_LATENCY] = join(address, (flat(new, 16), P * T * 16))
            saturations[cycle + WRITE_LATENCY] = int((clamped * steps).sum())
        if beat.target is Target.LOGITS:
            ports["logits"][cycle + WRITE_LATENCY] = join(address, (flat(beat.x, C), P * T * C))
        spikes = (flat(beat.spikes() * steps[:, None], 1), P * T)
        if (port := PORTS.get(beat.target)) == "spikes":
            address = (base + beat.address, 24)
        marks = ((beat.channel, 8), (beat.first, 1), (beat.last, 1)) if port == "key" else ()
        if port:
            ports[port][cycle + LATENCY] = join(address, spikes, *marks)
    return ports, saturations


async def check(dut, beats: list[Beat], memories: Memories, *, stall: float, step_mask: int = 2**T - 1):
    """Send beats; compare all that leaves, in every cycle."""
    rng = generator(f"gaps {stall}")
    base = rng.getrandbits(24)
    dut.output_base.value, dut.step_mask.value = base, step_mask
    memories.params = {beat.params: beat.parameters() for beat in beats}
    entries = dict(enumerate([*with_gaps(beats, stall, rng), *[None] * (LATENCY + 3)]))
    offered = {cycle: beat for cycle, beat in entries.items() if beat}
    occupied = {cycle + delay for cycle in offered for delay in range(LATENCY + 1)}
    ports, saturations = expect(offered, step_mask, base)

    def check_cycle(cycle):
        reads = cycle in offered and offered[cycle].target in (Target.STREAM_ADD, Target.STREAM_CLOSE)
        assert dut.stream_read.value == reads, f"stream_read in cycle {cycle}"
        assert dut.busy.value == (cycle in occupied), f"busy in cycle {cycle}"
        assert dut.saturations.value == saturations.get(cycle, 0), f"saturations in cycle {cycle}"

    recorder = Recorder(dut, list(ports))
    schedule = [beat and beat.payload() for beat in entries.values()]
    await play(dut, schedule, recorder, rng, each_cycle=check_cycle)
    for name, expected in ports.items():
        assert recorder.items[name] == expected, name


def new_memory(rng: random.Random) -> list[torch.Tensor]:
    """A random residual stream, [T, P] for each beat."""
    shape = (CONFIG.stream_depth, T, P)
    values = [rng.choice((rng.randint(-300, 300), -STREAM_LIMIT, STREAM_LIMIT - 1)) for _ in range(math.prod(shape))]
    return list(torch.tensor(values, dtype=torch.int32).reshape(shape))


@cocotb.test()
async def every_target(dut):
    """Random beats to random targets, back to back and with gaps, the same memory going on."""
    rng = generator("beats")
    memory = new_memory(rng)
    memories = Memories(dut, memory)
    await start(dut)
    for stall in (0.0, 0.5):
        await check(dut, random_beats(rng, memory, 400), memories, stall=stall)
    assert list(memories.stream.values()) == [flat(values, STREAM_BITS) for values in memory]


@cocotb.test()
async def fewer_timesteps(dut):
    """Timesteps that the model does not have neither spike nor count as clamped."""
    rng = generator("beats")
    memory = new_memory(rng)
    memories = Memories(dut, memory)
    await start(dut)
    for steps in range(1, T):
        await check(dut, random_beats(rng, memory, 60), memories, stall=0.2, step_mask=2**steps - 1)


@cocotb.test()
async def reset_in_flight(dut):
    """A reset drops what is inside, and the path works as before."""
    rng = generator("beats")
    memory = new_memory(rng)
    memories = Memories(dut, memory)
    await start(dut)
    for age in range(1, LATENCY + 1):
        beat = random_beat(rng, memory[0], Target.SPIKES, 0, 0)
        await play(dut, [beat.payload(), *[None] * (age - 1)], Recorder(dut, []), rng)
        await reset(dut, 1)
        await check(dut, random_beats(rng, memory, 4), memories, stall=0.0)
