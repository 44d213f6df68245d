"""A whole network on the accelerator in cocotb, with a bus-functional model as external memory.

It is driven as `sim.simulate.Simulator` drives the native library, cycle by cycle. Its parameters name a folder with
``input.npz``; it writes ``output.npz`` there.
"""

import time
from pathlib import Path

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge
from cocotbext.axi import AxiReadBus

from sim.axi_memory import AxiMemory
from sim.streams import StreamSource, generator, parameters, start

RECORDS = ("logits", "counters", "trace_spikes", "trace_mixed", "trace_windows", "trace_stream", "trace_mask")
"""The streams without back-pressure."""


class Recorder:
    """Collects what the streams without back-pressure carry."""

    def __init__(self, dut):
        self.streams = {name: (getattr(dut, f"{name}__valid"), getattr(dut, f"{name}__payload")) for name in RECORDS}
        self.items = {name: [] for name in RECORDS}

    def sample(self):
        """Take what is offered in this cycle."""
        for name, (valid, payload) in self.streams.items():
            if valid.value:
                self.items[name].append(int(payload.value))

    def arrays(self):
        """The payloads by stream, as rows of 32-bit words, the lowest first."""
        return {name: self._rows(name) for name in RECORDS}

    def _rows(self, name):
        size = -(-len(self.streams[name][1]) // 32)
        data = b"".join(item.to_bytes(4 * size, "little") for item in self.items[name])
        return np.frombuffer(data, "<u4").reshape(-1, size)


@cocotb.test
async def network(dut):
    """Run one image, and write what the accelerator did."""
    settings = parameters()
    folder = Path(settings["folder"])
    with np.load(folder / "input.npz") as file:
        given = {name: file[name] for name in file.files}
    dut.start.value, dut.base.value, dut.words.value = 0, settings["base"], settings["words"]
    stall = settings["stall"]
    AxiMemory(
        AxiReadBus.from_prefix(dut, "bus_"),
        dut.clk,
        dut.rst,
        contents=given["memory"].tobytes(),
        latency=settings["latency"],
        bandwidth=settings["bandwidth"],
        stall=stall,
        rng=generator("memory"),
    )
    await start(dut)
    pixels = StreamSource(dut, "pixels", stall=stall)
    pixels.put(given["pixels"].tolist())
    recorder, begin, cycles = Recorder(dut), time.perf_counter(), 0
    dut.start.value = 1
    ended = False
    while not ended and cycles < settings["limit"]:
        await FallingEdge(dut.clk)
        recorder.sample()
        ended = bool(dut.done.value)
        cycles += 1
        await RisingEdge(dut.clk)
        dut.start.value = 0
    outcome = {"ended": ended, "cycles": cycles, "seconds": time.perf_counter() - begin}
    np.savez(folder / "output.npz", **recorder.arrays(), **outcome)
