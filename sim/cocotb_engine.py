"""The accelerator in cocotb: slower than the native library, with a bus-functional model as external memory."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np

from golden.errors import SaformerError
from hw.accelerator import Accelerator
from hw.compile.lowering import Lowered
from hw.config import HardwareConfig
from hw.estimate.timelines import ExternalMemory
from sim.compare import HardwareRun
from sim.records import Records
from sim.runner import run_bench
from sim.simulate import hardware_run, input_items, place_image, run_limit
from sim.verilog import component_ports

BENCH = "sim.benches.network"


class CocotbEngine:
    """Runs every image in a simulation of its own, from the reset on; takes as many cycles as `sim.simulate.Simulator`.

    Parameters
    ----------
    config : of the accelerator
    memory : latency and bandwidth of the external memory
    stall, seed : probability that the pixel stream pauses before an item, and the external memory before a word or a
        request; and the seed of these pauses
    """

    def __init__(
        self,
        *,
        config: HardwareConfig,
        memory: ExternalMemory | None = None,
        stall: float = 0.0,
        seed: int = 1,
    ):
        self.config = config
        self.memory = memory or ExternalMemory()
        self._stall = stall
        self._seed = seed
        self._cycles, self._seconds = 0, 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        pass

    @property
    def cycles_per_second(self) -> float:
        """Mean speed of the simulation so far, without starting and loading."""
        return self._cycles / self._seconds if self._seconds else 0.0

    def load(self, lowered: Lowered, *, image: bytes | None = None) -> None:
        """Take a program, as its image or as one that is given. Raises SaformerError for an image that is not whole."""
        self._lowered = lowered
        self._placed = place_image(lowered, image)

    def run(self, image: np.ndarray, *, progress: Callable[[int, int], object] | None = None) -> HardwareRun:
        """Run the loaded program on one image, uint8 [C, H, W], or frames [T, C, H, W].

        ``progress`` is called at the end only. Raises SaformerError when the accelerator does not finish.
        """
        limit = run_limit(self._lowered, self.memory, self._stall)
        with tempfile.TemporaryDirectory() as folder:
            output = self._simulate(Path(folder), image, limit)
        if not output["ended"]:
            raise SaformerError(f"the simulation gave up after {limit} cycles: done was not set")
        cycles = int(output["cycles"])
        self._cycles, self._seconds = self._cycles + cycles, self._seconds + float(output["seconds"])
        if progress is not None:
            progress(cycles, len(self._lowered.layers))
        shapes = {name: port.shape for name, port in component_ports(Accelerator(config=self.config)).items()}

        def records(stream: str) -> Records:
            words = output[stream]
            return Records(np.zeros(len(words), np.uint64), words, shapes[f"{stream}__payload"])

        return hardware_run(self._lowered, records, cycles=cycles)

    def _simulate(self, folder: Path, image: np.ndarray, limit: int) -> dict[str, np.ndarray]:
        """Run the bench, and return what it wrote."""
        placed, items = self._placed, input_items(self._lowered, image)
        np.savez(folder / "input.npz", memory=placed.contents, pixels=items)
        settings = {
            "folder": str(folder),
            "latency": self.memory.latency,
            "bandwidth": self.memory.words(self.config.bus_bytes),
            "stall": self._stall,
            "base": placed.base,
            "words": placed.words,
            "limit": limit,
        }
        design, identity = Accelerator(config=self.config), repr(self.config)
        run_bench(design, BENCH, parameters=settings, seed=self._seed, timeout=None, identity=identity)
        with np.load(folder / "output.npz") as file:
            return {name: file[name] for name in file.files}
