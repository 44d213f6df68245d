"""An accelerator at the end of a serial line as engine: what it does is compared like what a simulation does."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from firmware.link import Identity, Link
from golden.config import Input
from golden.errors import SaformerError
from hw.compile.allocate import channel_beats
from hw.compile.image import pack_image, unpack_image
from hw.compile.lowering import Lowered
from hw.config import HARDWARE, HardwareConfig
from hw.counters import Counter
from hw.estimate.timelines import ON_CHIP
from hw.serial.config import SERIAL, SerialConfig
from hw.soc.registers import REGISTERS
from hw.soc.system import build_hash
from sim.compare import HardwareRun, PortRecords
from sim.simulate import dense_cycles, input_items

IDENT = REGISTERS[0].fields[0].reset
"""What the register of that name says."""

ITEM_CYCLES = 200
"""More than the firmware takes to give the accelerator an item, or to keep a result."""

CHECK_CYCLES = 60
"""More than the firmware takes for a byte of memory whose CRC it computes."""

MARGIN = 20
"""A simulation may get slower, on a machine that does something else."""


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """Where things lie in a board's program memory, in bytes from its start; the program is at 0.

    Members: items, logits, counters : first bytes; item_count : 16-bit items of an input; size : of all together.
    """

    items: int
    item_count: int
    logits: int
    counters: int
    size: int


def plan_memory(lowered: Lowered) -> MemoryPlan:
    """Place a program, an input and its results one behind the other."""
    model, config = lowered.model, lowered.config
    frames = np.zeros((model.timesteps, model.in_channels, model.image_size, model.image_size), np.uint8)
    item_count = input_items(lowered, frames if model.input is Input.EVENTS else frames[0]).size
    items = _whole(lowered.program.size)
    logits = items + _whole(2 * item_count)
    beat = config.beat_channels * config.timesteps
    counters = logits + 4 * lowered.layers[-1].step.passes * channel_beats(model.classes, config) * beat
    size = counters + 8 * len(lowered.layers) * len(Counter)
    return MemoryPlan(items=items, item_count=item_count, logits=logits, counters=counters, size=size)


def _whole(size: int) -> int:
    """The next multiple of the widest bus word."""
    return -(-size // 32) * 32


def find_hardware(identity: Identity, named: HardwareConfig | SerialConfig | None) -> HardwareConfig | SerialConfig:
    """Return the configuration that a board was built with: the named one, or one of `HARDWARE` or `SERIAL`.

    Raises SaformerError when the board is none of ours, or has been built with another configuration.
    """
    if identity.ident != IDENT:
        raise SaformerError(f"the device says that it is {identity.ident:#010x}, not {IDENT:#010x}: load the bitstream")
    for config in (*HARDWARE.values(), *SERIAL.values()) if named is None else [named]:
        if build_hash(config) == identity.build:
            return config
    wanted = "any named configuration" if named is None else f"{named.name} ({build_hash(named):#010x})"
    raise SaformerError(
        f"the bitstream on the board was built for other hardware ({identity.build:#010x}) than {wanted}: "
        "name its configuration with --hw, or load another bitstream"
    )


class DeviceEngine:
    """Runs programs on a board, for `sim.cosim.cosim`: logits and counters can be seen, nothing else.

    Parameters
    ----------
    link : to the board
    identity : what it says of itself
    cycles_per_second : clock cycles that it does; `MARGIN` times as long it may take for what it is asked
    progress : is called with the bytes of the program that have arrived
    """

    def __init__(
        self,
        link: Link,
        identity: Identity,
        *,
        cycles_per_second: float,
        progress: Callable[[int], object] | None = None,
    ):
        self._link, self._identity = link, identity
        self.cycles_per_second = cycles_per_second
        self._progress = progress
        self.memory = ON_CHIP

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        pass

    def load(self, lowered: Lowered, *, image: bytes | None = None) -> None:
        """Write the program into the board's memory, unless it is there, and let the board check it.

        Raises SaformerError for a program that does not fit its memory, or does not arrive as it was sent.
        """
        self._lowered, self._plan = lowered, plan_memory(lowered)
        if self._plan.size > self._identity.memory_bytes:
            raise SaformerError(
                f"the program, an input and its results need {self._plan.size} bytes, the board has "
                f"{self._identity.memory_bytes}: use a smaller model, or a board with more memory"
            )
        payload = unpack_image(pack_image(lowered) if image is None else image, "the image").payload
        payload += bytes(-len(payload) % 4)
        if self._crc(len(payload)) != zlib.crc32(payload):
            self._link.write(0, payload, progress=self._progress)
            if self._crc(len(payload)) != zlib.crc32(payload):
                raise SaformerError("the program in the board's memory is not what was sent: the memory is broken")

    def run(self, image: np.ndarray, *, progress: Callable[[int, int], object] | None = None) -> HardwareRun:
        """Run the loaded program on one image, uint8 [C, H, W], or frames [T, C, H, W].

        ``progress`` is called at the end only. Raises SaformerError when the board does not answer or does not finish.
        """
        lowered, plan = self._lowered, self._plan
        items = input_items(lowered, image).astype("<u2").tobytes()
        self._link.write(plan.items, items + bytes(-len(items) % 4))
        cycles = 4 * dense_cycles(lowered) + ITEM_CYCLES * plan.item_count + 8 * lowered.program.size
        outcome = self._link.run(
            program=0,
            program_words=lowered.program.size // lowered.config.bus_bytes,
            items=plan.items,
            item_count=plan.item_count,
            logits=plan.logits,
            counters=plan.counters,
            cycles=min(cycles, 2**32 - 1),
            patience=self._patience(cycles),
        )
        if progress is not None:
            progress(outcome.cycles, len(lowered.layers))
        words = np.array(self._link.read(plan.logits, outcome.logits), np.uint32).astype(np.int32)
        pairs = np.array(self._link.read(plan.counters, 2 * outcome.counters), np.int64).reshape(-1, 2)
        return HardwareRun(
            ports={"logits": self._logits(words)},
            counters=np.stack(
                [pairs[:, 0] >> 16, pairs[:, 0] >> 8 & 0xFF, (pairs[:, 0] & 0xFF) << 32 | pairs[:, 1]], 1
            ),
            cycles=outcome.cycles,
        )

    def _logits(self, words: np.ndarray) -> PortRecords:
        """The logits as records: they leave the accelerator group by group, and in a group pass by pass."""
        config, number = self._lowered.config, len(self._lowered.layers) - 1
        beats = channel_beats(self._lowered.model.classes, config)
        passes = self._lowered.layers[number].step.passes
        group = self._lowered.program.layers[number].fields["group_channels"] // config.beat_channels
        places = np.arange(passes * beats).reshape(passes, beats)
        order = [places[:, first : first + group].ravel() for first in range(0, beats, group)]
        addresses = np.concatenate(order)
        values = words[: len(addresses) * config.beat_channels * config.timesteps]
        values = values.reshape(-1, config.beat_channels, config.timesteps)
        return PortRecords(layers=np.full(len(values), number), addresses=addresses[: len(values)], values=values)

    def _crc(self, size: int) -> int:
        """The CRC-32 of the first bytes of the memory."""
        return self._link.check(0, size // 4, patience=self._patience(CHECK_CYCLES * size))

    def _patience(self, cycles: float) -> float:
        """Seconds in which the board has done so many cycles."""
        return 1 + MARGIN * cycles / self.cycles_per_second
