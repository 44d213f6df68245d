"""The neuron path against the integer model: every target, the residual stream, latencies and throughput."""

import random
from dataclasses import dataclass

import cocotb
import torch
from cocotb.triggers import ReadOnly, RisingEdge

from golden.config import Reset
from golden.integer import lif, lif_step, write_stream
from hw.config import STREAM_BITS, HardwareConfig
from hw.program import Target
from sim.benches.pipeline import Recorder, play, serve_memory, with_gaps
from sim.streams import generator, pack, parameters, reset, start, unpack

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
    threshold: torch.Tensor  # int32 [P]
    old: torch.Tensor  # int32 [T, P]
    address: int
    params: int
    channel: int
    first: int
    last: int

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

    def spikes(self) -> torch.Tensor:
        """What the neurons fire, [T, P]."""
        seen = self.new_stream()[0] if self.target is Target.STREAM_ADD else self.x
        return lif(seen, self.threshold, reset=Reset.HARD)


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


def random_beat(rng: random.Random, params: int, address: int, old: torch.Tensor) -> Beat:
    """A beat with everything random; ``address`` is where the stream is, other targets take any address."""
    target = rng.choice([target for target in Target if target is not Target.NONE])
    shift = [rng.randrange(4) for _ in range(P)]
    x = [[random_x(rng, int(old[t, p]), shift[p], target) for p in range(P)] for t in range(T)]
    # The bias is what the currents leave room for: current, bias and their sum all have the width of a current.
    room = [(max(0, max(row) - LIMIT + 1 + LIMIT), min(0, min(row))) for row in zip(*x, strict=True)]
    bias = [rng.randint(low + LIMIT - LIMIT, high + LIMIT - 1) if low else 0 for high, low in room]
    fields = {"target": target, "x": torch.tensor(x, dtype=torch.int32), "bias": bias, "old": old, "params": params}
    return Beat(**fields)
