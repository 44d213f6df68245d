"""The native model's build: what is generated for a component, and the makefile's settings."""

from dataclasses import dataclass
from pathlib import Path

from amaranth.lib import wiring

from sim.build import Recipe
from sim.verilog import Port, component_ports

SOURCE = Path(__file__).with_name("native.cpp")


@dataclass(frozen=True)
class Interface:
    """The ports of a component as the harness sees them; a port's place in its tuple is its index there.

    Members: sources : input streams; sinks : output streams, those with back-pressure first; inputs, outputs : plain
    ports; memories : buses of external memory, the read channels of AXI4. Streams are given by their payload port,
    buses by their data port.
    """

    sources: tuple[Port, ...]
    sinks: tuple[Port, ...]
    waiting: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    memories: tuple[Port, ...]


def stream_name(payload: Port) -> str:
    """Return the name of the stream that a payload port belongs to."""
    return payload.name.removesuffix("__payload")


def bus_name(data: Port) -> str:
    """Return the name of the bus that a data port belongs to."""
    return data.name.removesuffix("__rdata")


def words(port: Port) -> int:
    """Return the number of 32-bit words that hold a port's value."""
    return -(-port.width // 32)


def describe(component: wiring.Component) -> Interface:
    """Return the interface of a component.

    Raises TypeError for an input stream without ``ready``: the harness could not tell when an item is taken.
    """
    ports = component_ports(component)
    payloads = {stream_name(port): port for port in ports.values() if port.name.endswith("__payload")}
    sources, waiting, records = [], [], []
    for name, port in payloads.items():
        has_ready = f"{name}__ready" in ports
        if port.is_input and not has_ready:
            raise TypeError(f"input stream {name!r} must have back-pressure to be driven by the native model")
        (sources if port.is_input else waiting if has_ready else records).append(port)
    members = {f"{name}__{part}" for name in payloads for part in ("payload", "valid", "ready")}
    memories = tuple(port for name, port in ports.items() if name.endswith("__rdata"))
    buses = tuple(f"{bus_name(port)}__" for port in memories)
    plain = [port for name, port in ports.items() if name not in members and not name.startswith(buses)]
    return Interface(
        sources=tuple(sources),
        sinks=(*waiting, *records),
        waiting=len(waiting),
        inputs=tuple(port for port in plain if port.is_input),
        outputs=tuple(port for port in plain if not port.is_input),
        memories=memories,
    )


UNCHECKED = ("-Wno-lint", "-Wno-style", "-Wno-TIMESCALEMOD", "-Wno-UNOPTFLAT")
"""Flags for a netlist: its style is Yosys', and what looks like a loop are bits of the same bus."""


def recipe(component: wiring.Component, *, trace: bool, public: tuple[tuple[str, str], ...], gates: bool) -> Recipe:
    """Return how a component is built as a shared library.

    ``trace`` adds waveforms; ``public`` names (module, signal) pairs that can be changed from outside. For
    ``gates`` and what a vendor's cells do, looking for mistakes makes no sense, and optimising takes too long.
    """
    flags = ["--x-assign", "fast", "--x-initial", "fast", "--noassert", "-O3", "-CFLAGS", "-fPIC -fvisibility=hidden"]
    # Several models live in one process: nothing of one may be taken for a part of another.
    flags += ["-CFLAGS", "-fno-gnu-unique", "-LDFLAGS", "-shared -Wl,-Bsymbolic"]
    visible = [f'public_flat_rw -module "{module}" -var "{signal}"' for module, signal in public]
    return Recipe(
        product="libmodel.so",
        flags=(*flags, *["--trace"] * trace, *UNCHECKED * gates),
        variables=("OPT_FAST=-O0" if gates else "OPT_FAST=-O1 -march=native", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2"),
        sources={
            "native.cpp": SOURCE.read_text(),
            "ports.h": _header(describe(component)),
            "public.vlt": "\n".join(["`verilator_config", *visible, ""]),
        },
    )


def _header(interface: Interface) -> str:
    """Return the X-macros that list the ports for the harness."""
    lists = {
        "SOURCES": [_stream(index, port, ready=True) for index, port in enumerate(interface.sources)],
        "SINKS": [_stream(index, port, ready=True) for index, port in enumerate(interface.sinks[: interface.waiting])],
        "RECORDS": [
            _stream(index + interface.waiting, port, ready=False)
            for index, port in enumerate(interface.sinks[interface.waiting :])
        ],
        "INPUTS": [f"X({index}, {_mangle(port.name)})" for index, port in enumerate(interface.inputs)],
        "OUTPUTS": [f"X({index}, {_mangle(port.name)})" for index, port in enumerate(interface.outputs)],
        "MEMORIES": [f"X({index}, MEMORY_{index})" for index in range(len(interface.memories))],
    }
    numbers = {
        "SOURCE_COUNT": len(interface.sources),
        "SINK_COUNT": len(interface.sinks),
        "MEMORY_COUNT": len(interface.memories),
        "OUTPUT_WORDS": max([2, *(words(port) for port in interface.outputs)]),
    }
    lines = [f"#define {name} {value}" for name, value in numbers.items()]
    lines += [
        f"#define MEMORY_{index}(signal) {_mangle(f'{bus_name(port)}__')}##signal"
        for index, port in enumerate(interface.memories)
    ]
    lines += [f"#define {name}(X) {' '.join(entries)}" for name, entries in lists.items()]
    return "\n".join(["#pragma once", *lines, ""])


def _stream(index: int, port: Port, *, ready: bool) -> str:
    parts = ("payload", "valid", "ready") if ready else ("payload", "valid")
    return f"X({index}, {', '.join(_mangle(f'{stream_name(port)}__{part}') for part in parts)})"


def _mangle(name: str) -> str:
    """Return the C++ name that Verilator gives a port; a double underscore is its own separator."""
    return name.replace("__", "___05F")
