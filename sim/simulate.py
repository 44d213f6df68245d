"""The accelerator under Verilator: a program is loaded, then one image at a time runs through it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from amaranth.lib import wiring

from hw.accelerator import Accelerator
from hw.allocate import channel_beats
from hw.config import HardwareConfig
from hw.lowering import Lowered
from hw.program import Kind
from sim.compare import HardwareRun, PortRecords
from sim.expected import PORTS
from sim.native import NativeModel
from sim.records import Records

LOADER_CYCLES = 16
"""Cycles after the last word of a program was taken in which the loader writes it."""

PATIENCE = 4
"""A run is given up after this many times the cycles of an input in which everything fires."""


class Simulator:
    """An accelerator that takes one program after the other.

    Parameters
    ----------
    config : of the accelerator
    accelerator : the design, if it is not `hw.accelerator.Accelerator`
    trace : file for a VCD waveform, or None
    stall, seed : probability that the pixel stream pauses before a pixel, and the seed of these pauses

    Members: ``native`` : the model, for its cycles and speed.

    Raises SaformerError when the design does not build or the waveform cannot be written.
    """

    def __init__(
        self,
        *,
        config: HardwareConfig,
        accelerator: wiring.Component | None = None,
        trace: Path | None = None,
        stall: float = 0.0,
        seed: int = 1,
    ):
        own = accelerator is None
        self.native = NativeModel(
            Accelerator(config=config) if own else accelerator,
            identity=repr(config) if own else None,
            trace=trace,
            seed=seed,
        )
        self.native.stall("pixels", stall)

    def __enter__(self) -> "Simulator":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.native.close()

    def load(self, lowered: Lowered) -> None:
        """Write a program into the memories of the accelerator."""
        words = lowered.program.words()
        self.lowered = lowered
        self.native.send("program", words)
        self.native.run_drained("program", limit=PATIENCE * len(words) + LOADER_CYCLES)
        self.native.step(LOADER_CYCLES)

    def run(self, image: np.ndarray, *, progress: Callable[[int], object] | None = None) -> HardwareRun:
        """Run the loaded program on one image, uint8 [C, H, W]; ``progress`` is called with the cycles so far.

        Raises SaformerError when the accelerator does not finish.
        """
        self.native.clear()
        self.native.send("pixels", np.ascontiguousarray(image.transpose(1, 2, 0)).ravel())
        begin = self.native.cycle
        self.native.pulse("start")
        self.native.run_until("done", limit=PATIENCE * dense_cycles(self.lowered), progress=progress)
        return HardwareRun(
            ports={port: self._records(port) for port in PORTS},
            counters=_counters(self.native.records("counters")),
            cycles=self.native.cycle - begin,
        )

    def _records(self, port: str) -> PortRecords:
        records = self.native.records("logits" if port == "logits" else f"trace_{port}")
        values = records.field("data")
        if values.ndim == 2:
            # A spike pattern is one number a channel, a bit a timestep.
            values = values[..., None] >> np.arange(self.lowered.config.timesteps) & 1
        # The logits leave the accelerator without a layer number: they can only be the classifier's.
        classifier = np.full(len(records), len(self.lowered.layers) - 1)
        return PortRecords(
            layers=classifier if port == "logits" else records.field("layer"),
            addresses=records.field("address"),
            values=values,
        )


def dense_cycles(lowered: Lowered) -> int:
    """Cycles of one image, about, if every input fired at every timestep, on the slow side."""
    total = 0
    for layer, descriptor in zip(lowered.layers, lowered.program.layers, strict=True):
        step, fields = layer.step, descriptor.fields
        beats = channel_beats(step.outputs, lowered.config)
        if step.kind is Kind.EVENT:
            per_position = fields["weight_rows"] + 8 + lowered.config.group_beats
            total += (fields["last_group"] + 1) * step.reads.planes * step.reads.positions * per_position
        else:
            spikes = step.reads or step.writes
            total += (spikes.planes * spikes.positions + step.tokens) * (beats * lowered.config.beat_channels + 8)
        total += 1000
    return total


def _counters(records: Records) -> np.ndarray:
    return np.stack([records.field(name) for name in ("layer", "index", "value")], axis=1)
