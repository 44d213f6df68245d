"""A feed-forward network on the accelerator, compared with its integer model."""

from contextlib import nullcontext
from dataclasses import dataclass

from torch import Tensor

from golden.errors import SaformerError
from golden.feedforward.integer import IntegerFeedForward, predictions
from hw.compile.chain import Chain
from hw.compile.lowering import lower_chain
from hw.config import HardwareConfig
from hw.counters import Counter
from sim.compare import Mismatch, compare
from sim.expected import expect
from sim.simulate import Engine, Simulator


@dataclass(frozen=True, kw_only=True)
class ChainResult:
    """What a comparison found.

    Members
    -------
    mismatches : by input, every difference in spikes, outputs and counters
    predictions : of the integer model, the class of each input
    cycles : of each input
    events, accumulates : of all inputs, as the hardware counted them
    program_bytes : of the program in external memory
    """

    mismatches: list[list[Mismatch]]
    predictions: list[int]
    cycles: list[int]
    events: int
    accumulates: int
    program_bytes: int

    @property
    def bit_exact(self) -> bool:
        """Whether nothing differs."""
        return not any(self.mismatches)


def cosim_chain(
    network: IntegerFeedForward, frames: Tensor, *, name: str, config: HardwareConfig, engine: Engine | None = None
) -> ChainResult:
    """Run frames, uint8 [K, T, ...], through the accelerator and the integer model, and compare everything.

    ``engine`` is what runs it, by default a `Simulator` made for this call. Raises SaformerError: no frames, frames of
    another shape, or a network that the accelerator cannot run.
    """
    if len(frames) == 0:
        raise SaformerError("a comparison needs at least one recording")
    chain = Chain(network, name=name, timesteps=frames.shape[1], config=config)
    lowered = lower_chain(chain)
    mismatches, runs, classes = [], [], []
    with nullcontext(engine) if engine else Simulator(config=config) as runner:
        runner.load(lowered)
        for recording in frames.split(1):
            values = network.run(recording)
            trace = chain.trace(values, recording)
            maps = trace.values["frames"].transpose(0, 1)
            run = runner.run(maps[0].numpy())
            mismatches.append(compare(lowered, expect(lowered, trace, maps.numpy(), image=0), run))
            classes += predictions(values).tolist()
            runs.append(run)
    return ChainResult(
        mismatches=mismatches,
        predictions=classes,
        cycles=[run.cycles for run in runs],
        events=sum(run.total(Counter.EVENTS) for run in runs),
        accumulates=sum(run.total(Counter.SOPS) for run in runs),
        program_bytes=lowered.program.size,
    )
