"""A design as a native library: the clock loop runs in C++, Python sees whole runs."""

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from amaranth.lib import wiring

from golden.errors import SaformerError
from sim.build import build
from sim.harness import bus_name, describe, recipe, stream_name, words
from sim.records import Records
from sim.verilog import Port, cached_verilog, to_verilog

CHUNK = 50_000
"""Cycles between two calls of the progress function, and between two chances to interrupt."""

_WORDS = ctypes.POINTER(ctypes.c_uint32)
_CALLS: dict[str, tuple[object, tuple[object, ...]]] = {
    "sim_new": (ctypes.c_void_p, (_WORDS, _WORDS, ctypes.c_uint64)),
    "sim_delete": (None, (ctypes.c_void_p,)),
    "sim_reset": (None, (ctypes.c_void_p, ctypes.c_int)),
    "sim_send": (None, (ctypes.c_void_p, ctypes.c_int, _WORDS, ctypes.c_uint64)),
    "sim_stall_source": (None, (ctypes.c_void_p, ctypes.c_int, ctypes.c_double)),
    "sim_stall_sink": (None, (ctypes.c_void_p, ctypes.c_int, ctypes.c_double)),
    "sim_memory": (
        None,
        (ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, *[ctypes.c_uint64] * 3, ctypes.c_double),
    ),
    "sim_stall_memory": (None, (ctypes.c_void_p, ctypes.c_int, ctypes.c_double)),
    "sim_pending": (ctypes.c_uint64, (ctypes.c_void_p, ctypes.c_int)),
    "sim_set": (None, (ctypes.c_void_p, ctypes.c_int, _WORDS)),
    "sim_get": (None, (ctypes.c_void_p, ctypes.c_int, _WORDS)),
    "sim_run": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int, ctypes.c_int)),
    "sim_cycle": (ctypes.c_uint64, (ctypes.c_void_p,)),
    "sim_records": (ctypes.c_uint64, (ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_WORDS))),
    "sim_clear_records": (None, (ctypes.c_void_p, ctypes.c_int)),
    "sim_flip": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint32, ctypes.c_uint32)),
    "sim_trace": (ctypes.c_int, (ctypes.c_void_p, ctypes.c_char_p)),
}


class NativeModel:
    """A component under simulation, reset and ready to run.

    Parameters
    ----------
    component : the design
    seed : of the random stalls
    trace : file for a VCD waveform of everything, or None
    public : (module, signal) pairs that `flip` can change, named as in the Verilog: ``("top.engine", "weights")``
    identity : for `sim.verilog.cached_verilog`, or None to convert the component anew
    gates : the Verilog of its gates (`sim.gates.gate_level`), in place of its own

    Members: ``cycle`` : clock cycles since the start; ``seconds`` : time spent simulating.

    Raises SaformerError when the design does not build or the waveform cannot be written.
    """

    def __init__(
        self,
        component: wiring.Component,
        *,
        seed: int = 1,
        trace: Path | None = None,
        public: tuple[tuple[str, str], ...] = (),
        identity: str | None = None,
        gates: str | None = None,
    ):
        self._interface = describe(component)
        self._sources = _index(self._interface.sources, stream_name)
        self._sinks = _index(self._interface.sinks, stream_name)
        self._inputs = _index(self._interface.inputs, lambda port: port.name)
        self._outputs = _index(self._interface.outputs, lambda port: port.name)
        self._memories = _index(self._interface.memories, bus_name)
        self.seconds = 0.0
        self._handle = None
        how = recipe(component, trace=trace is not None, public=public, gates=gates is not None)
        if gates is None:
            gates = to_verilog(component) if identity is None else cached_verilog(component, identity=identity)
        self._library = _load(build(verilog=gates, recipe=how))
        sizes = [_words([words(port) for port in ports]) for ports in (self._interface.sources, self._interface.sinks)]
        self._handle = self._library.sim_new(*sizes, seed)
        if trace is not None and not self._library.sim_trace(self._handle, str(trace).encode()):
            raise SaformerError(f"cannot write the waveform {trace}: choose a file in a writable folder")
        self.reset()

    def __enter__(self) -> "NativeModel":
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the simulation and complete the waveform."""
        if self._handle is not None:
            self._library.sim_delete(self._handle)
            self._handle = None

    @property
    def cycle(self) -> int:
        """Clock cycles since the start, resets included."""
        return self._library.sim_cycle(self._handle)

    @property
    def cycles_per_second(self) -> float:
        """Mean speed of the simulation so far."""
        return self.cycle / self.seconds if self.seconds else 0.0

    def reset(self, cycles: int = 2) -> None:
        """Hold the reset for some cycles; items not yet taken and records not yet read are dropped."""
        self._library.sim_reset(self._handle, cycles)

    def send(self, stream: str, items: np.ndarray) -> None:
        """Append items to an input stream: integers [count], or 32-bit words [count, words] of wider payloads."""
        index, port = self._sources[stream]
        flat = np.asarray(items, dtype=np.uint32).reshape(-1)
        if flat.size % words(port):
            raise ValueError(f"{stream}: an item has {words(port)} words of 32 bits; {flat.size} words do not divide")
        self._library.sim_send(self._handle, index, _words(flat), flat.size)

    def memory(self, bus: str, contents: np.ndarray, *, latency: int, bandwidth: float) -> None:
        """Fill the external memory behind a bus from address 0 on, and say how fast it is.

        The first word of a burst is transferred ``latency`` cycles later than it could be, which is two cycles after
        its address; ``bandwidth`` is the share of the cycles, above 0 and at most 1, in which a word may be.
        """
        index, port = self._memories[bus]
        flat = np.ascontiguousarray(contents).tobytes()
        self._library.sim_memory(self._handle, index, flat, len(flat), port.width // 8, latency, bandwidth)

    def pending(self, stream: str) -> int:
        """Return how many items of an input stream have not been taken."""
        return self._library.sim_pending(self._handle, self._sources[stream][0])

    def stall(self, stream: str, probability: float) -> None:
        """Let a stream pause at random: an input stream before an item, an output stream before any cycle.

        A bus of external memory pauses before a request and before a word.
        """
        if not 0 <= probability < 1:
            raise ValueError(f"a stall probability must be at least 0 and below 1, not {probability!r}")
        if stream in self._memories:
            self._library.sim_stall_memory(self._handle, self._memories[stream][0], probability)
        elif stream in self._sources:
            self._library.sim_stall_source(self._handle, self._sources[stream][0], probability)
        elif self._sinks[stream][0] < self._interface.waiting:
            self._library.sim_stall_sink(self._handle, self._sinks[stream][0], probability)
        else:
            raise ValueError(f"{stream} has no back-pressure, so it cannot stall")

    def set(self, name: str, value: int) -> None:
        """Set a plain input from the next cycle on."""
        index, port = self._inputs[name]
        self._library.sim_set(self._handle, index, _words(_split(value, port)))

    def get(self, name: str) -> int:
        """Return a plain output as it was at the end of the last cycle, as an unsigned integer."""
        index, port = self._outputs[name]
        buffer = _words([0] * max(2, words(port)))
        self._library.sim_get(self._handle, index, buffer)
        return sum(buffer[place] << (32 * place) for place in range(words(port)))

    def pulse(self, name: str) -> None:
        """Set a plain input for one cycle."""
        self.set(name, 1)
        self.step(1)
        self.set(name, 0)

    def step(self, cycles: int) -> None:
        """Run for some cycles."""
        self._run(cycles, -1, -1)

    def run_until(self, output: str, *, limit: int, progress: Callable[[int], object] | None = None) -> int:
        """Run until a one-bit output is set, and return the cycles that took, the last one included.

        ``progress`` is called with the cycles so far, about every 50,000 cycles. Raises SaformerError after ``limit``
        cycles.
        """
        return self._run_to(f"{output} was not set", self._outputs[output][0], -1, limit, progress)

    def run_drained(self, stream: str, *, limit: int) -> int:
        """Run until every item of an input stream has been taken, and return the cycles that took.

        Raises SaformerError after ``limit`` cycles.
        """
        return self._run_to(f"{stream} was not taken", -1, self._sources[stream][0], limit, None)

    def records(self, stream: str) -> Records:
        """Return what an output stream has carried since the start or the last `clear`, as a copy."""
        index, port = self._sinks[stream]
        address = _WORDS()
        size = self._library.sim_records(self._handle, index, ctypes.byref(address))
        flat = np.ctypeslib.as_array(address, (size,)).copy() if size else np.zeros(0, np.uint32)
        table = flat.reshape(-1, 2 + words(port))
        cycles = table[:, 0].astype(np.uint64) | table[:, 1].astype(np.uint64) << np.uint64(32)
        return Records(cycles, table[:, 2:], port.shape)

    def clear(self) -> None:
        """Forget the records of all output streams."""
        for index, _port in self._sinks.values():
            self._library.sim_clear_records(self._handle, index)

    def flip(self, module: str, signal: str, *, bit: int, row: int = 0) -> None:
        """Invert one bit of a public register, or of one row of a public memory: a fault.

        Raises ValueError when the build has no such public bit.
        """
        if not self._library.sim_flip(self._handle, module.encode(), signal.encode(), row, bit):
            raise ValueError(f"{module} has no public signal {signal!r} with a bit {bit} in row {row}")

    def _run_to(self, what: str, until: int, drained: int, limit: int, progress: Callable[[int], object] | None) -> int:
        begin = self.cycle
        while (spent := self.cycle - begin) < limit:
            if self._run(min(CHUNK, limit - spent), until, drained):
                return self.cycle - begin
            if progress is not None:
                progress(self.cycle - begin)
        waiting = ", ".join(f"{stream} has {self.pending(stream)} items left" for stream in self._sources)
        raise SaformerError(f"the simulation gave up after {limit} cycles: {what} ({waiting or 'no input streams'})")

    def _run(self, cycles: int, until: int, drained: int) -> bool:
        begin = time.perf_counter()
        ended = self._library.sim_run(self._handle, cycles, until, drained)
        self.seconds += time.perf_counter() - begin
        return bool(ended)


def _index(ports: tuple[Port, ...], name: Callable[[Port], str]) -> dict[str, tuple[int, Port]]:
    return {name(port): (index, port) for index, port in enumerate(ports)}


def _load(path: Path) -> ctypes.CDLL:
    """Return a model's library with the types of its functions."""
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _CALLS.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


def _split(value: int, port: Port) -> list[int]:
    """Return the 32-bit words of an input's value, the lowest one first."""
    unsigned = int(value) & ((1 << port.width) - 1)
    return [(unsigned >> (32 * place)) & 0xFFFFFFFF for place in range(max(2, words(port)))]


def _words(values: object) -> ctypes.Array:
    """Return values as a buffer of 32-bit words."""
    array = np.ascontiguousarray(values, dtype=np.uint32)
    return (ctypes.c_uint32 * array.size).from_buffer_copy(array)
