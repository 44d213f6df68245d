"""The accelerator under Verilator: a program is loaded, then one image at a time runs through it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from amaranth.lib import wiring

from golden.config import Input
from hw.accelerator import Accelerator
from hw.compile.allocate import channel_beats
from hw.compile.image import pack_image, unpack_image
from hw.compile.lowering import Lowered
from hw.config import HardwareConfig
from hw.estimate.timelines import ExternalMemory
from hw.program import Kind
from sim.compare import HardwareRun, PortRecords
from sim.expected import PORTS
from sim.native import NativeModel
from sim.records import Records

IMAGE_ADDRESS = 4096 - 128
"""Where the program image lies in external memory: bursts meet a page's end soon."""

PATIENCE = 4
"""A run is given up after this many times the cycles of an input in which everything fires."""


class Engine(Protocol):
    """What runs programs: `Simulator`, or `sim.cocotb_engine.CocotbEngine`."""

    memory: ExternalMemory

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *exception: object) -> None:
        """End the simulation."""

    @property
    def cycles_per_second(self) -> float:
        """Mean speed so far."""

    def load(self, lowered: Lowered, *, image: bytes | None = None) -> None:
        """Take a program, as its image or as one that is given."""

    def run(self, image: np.ndarray, *, progress: Callable[[int, int], object] | None = None) -> HardwareRun:
        """Run the loaded program on an image; ``progress`` is called with the cycles so far and the layer's number."""


class Simulator:
    """An accelerator that takes one program after the other, as a native library.

    Parameters
    ----------
    config : of the accelerator
    accelerator : the design, if it is not `hw.accelerator.Accelerator`
    gates : the Verilog of its gates, to simulate these
    trace : file for a VCD waveform, or None
    memory : latency and bandwidth of the external memory
    stall, seed : probability that the pixel stream pauses before an item, and the external memory before a word or a
        request; and the seed of these pauses

    Members: ``native`` : the model, for its cycles and speed.

    Raises SaformerError when the design does not build or the waveform cannot be written.
    """

    def __init__(
        self,
        *,
        config: HardwareConfig,
        accelerator: wiring.Component | None = None,
        gates: str | None = None,
        trace: Path | None = None,
        memory: ExternalMemory | None = None,
        stall: float = 0.0,
        seed: int = 1,
    ):
        own = accelerator is None
        self.memory = memory or ExternalMemory()
        self.native = NativeModel(
            Accelerator(config=config) if own else accelerator,
            identity=repr(config) if own else None,
            gates=gates,
            trace=trace,
            seed=seed,
        )
        self.stall(stall)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.native.close()

    @property
    def cycles_per_second(self) -> float:
        """Mean speed of the simulation so far."""
        return self.native.cycles_per_second

    def stall(self, probability: float) -> None:
        """Let the pixel stream and the external memory pause at random from now on."""
        self._stall = probability
        self.native.stall("pixels", probability)
        self.native.stall("bus", probability)

    def load(self, lowered: Lowered, *, image: bytes | None = None) -> None:
        """Write a program image, that of the program if none is given, into external memory.

        Raises SaformerError for an image that is not whole.
        """
        self.lowered = lowered
        placed = place_image(lowered, image)
        bandwidth = self.memory.words(lowered.config.bus_bytes)
        self.native.memory("bus", placed.contents, latency=self.memory.latency, bandwidth=bandwidth)
        self.native.set("base", placed.base)
        self.native.set("words", placed.words)

    def run(self, image: np.ndarray, *, progress: Callable[[int, int], object] | None = None) -> HardwareRun:
        """Run the loaded program on one image, uint8 [C, H, W], or frames [T, C, H, W].

        ``progress`` is called with the cycles so far and the number of the layer. Raises SaformerError when the
        accelerator does not finish.
        """
        self.native.clear()
        self.native.send("pixels", input_items(self.lowered, image))
        begin = self.native.cycle
        self.native.pulse("start")
        report = (lambda cycles: progress(cycles, self.native.get("layer"))) if progress else None
        self.native.run_until("done", limit=run_limit(self.lowered, self.memory, self._stall), progress=report)
        return hardware_run(self.lowered, self.native.records, cycles=self.native.cycle - begin)


@dataclass(frozen=True, kw_only=True)
class PlacedImage:
    """External memory with a program image at `IMAGE_ADDRESS`.

    Members: contents : uint8 [bytes], from address 0 on; base : address of the payload; words : its bus words.
    """

    contents: np.ndarray
    base: int
    words: int


def place_image(lowered: Lowered, content: bytes | None) -> PlacedImage:
    """Put a program image, that of ``lowered`` if there is none, into external memory."""
    content = pack_image(lowered) if content is None else content
    unpacked = unpack_image(content, "the image")
    return PlacedImage(
        contents=np.frombuffer(bytes(IMAGE_ADDRESS) + content, np.uint8),
        base=IMAGE_ADDRESS + unpacked.offset,
        words=len(unpacked.payload) // lowered.config.bus_bytes,
    )


def input_items(lowered: Lowered, image: np.ndarray) -> np.ndarray:
    """What the pixel stream carries for an image: uint8 [C, H, W] as bytes, position by position; frames [T, C, H, W]
    as patterns of the hardware's timesteps, pass by pass."""
    if lowered.model.input is Input.PIXELS:
        return np.ascontiguousarray(image.transpose(1, 2, 0)).ravel()
    steps = lowered.config.timesteps
    padded = np.pad(image, [(0, -len(image) % steps), (0, 0), (0, 0), (0, 0)])
    passes = padded.reshape(-1, steps, *image.shape[1:]).astype(np.uint32)
    patterns = (passes << np.arange(steps, dtype=np.uint32)[:, None, None, None]).sum(axis=1, dtype=np.uint32)
    return np.ascontiguousarray(patterns.transpose(0, 2, 3, 1)).ravel()


def hardware_run(lowered: Lowered, records: Callable[[str], Records], *, cycles: int) -> HardwareRun:
    """What the streams of an accelerator have carried; ``records`` gives those of one, by its name."""
    counters = records("counters")
    return HardwareRun(
        ports={port: _port_records(lowered, port, records) for port in PORTS},
        counters=np.stack([counters.field(name) for name in ("layer", "index", "value")], axis=1),
        cycles=cycles,
    )


def _port_records(lowered: Lowered, port: str, records: Callable[[str], Records]) -> PortRecords:
    found = records("logits" if port == "logits" else f"trace_{port}")
    values = found.field("data")
    if values.ndim == 2:
        # A spike pattern is one number a channel, a bit a timestep.
        values = values[..., None] >> np.arange(lowered.config.timesteps) & 1
    # The logits leave the accelerator without a layer number: they can only be the classifier's.
    classifier = np.full(len(found), len(lowered.layers) - 1)
    return PortRecords(
        layers=classifier if port == "logits" else found.field("layer"),
        addresses=found.field("address"),
        values=values,
    )


def run_limit(lowered: Lowered, memory: ExternalMemory, stall: float) -> int:
    """Cycles after which a run is given up: what an input needs in which everything fires, and waiting for weights."""
    config, size = lowered.config, lowered.program.size
    words = size // config.bus_bytes
    waiting = words / memory.words(config.bus_bytes) + (memory.latency + 4) * words / config.outstanding
    return int(PATIENCE * (dense_cycles(lowered) + waiting) / (1 - stall))


def dense_cycles(lowered: Lowered) -> int:
    """Cycles of one image, about, if every input fired at every timestep, on the slow side; memory is not counted."""
    total = 0
    for layer, descriptor in zip(lowered.layers, lowered.program.layers, strict=True):
        step, fields = layer.step, descriptor.fields
        beats = channel_beats(step.outputs, lowered.config)
        if step.kind is Kind.EVENT:
            per_position = fields["weight_rows"] + 8 + 3 * lowered.config.group_beats
            visits = step.passes * step.reads.planes * step.reads.positions
            total += (fields["last_group"] + 1) * visits * per_position
        else:
            positions = step.writes.planes * step.writes.positions + step.tokens
            total += step.passes * positions * (beats * lowered.config.beat_channels + 8)
        total += 1000
    return total
