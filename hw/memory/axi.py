"""AXI4 (ARM IHI 0022), under its standard names."""

from amaranth import unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

INCR = 0b01
"""Burst type: the address counts up."""

OKAY = 0b00
"""Response: done."""

ADDRESS_BITS = 32


def read_signature(bus_bytes: int) -> wiring.Signature:
    """Address and data channel of a master that only reads, ``bus_bytes`` wide, with one transaction ID."""
    return wiring.Signature(_reads(bus_bytes))


def memory_signature(bus_bytes: int) -> wiring.Signature:
    """All five channels of a master that also writes."""
    return wiring.Signature(_reads(bus_bytes) | _writes(bus_bytes))


def _address(channel: str) -> dict[str, wiring.Member]:
    fields = {"addr": ADDRESS_BITS, "len": 8, "size": 3, "burst": 2, "id": 1, "lock": 1, "cache": 4, "prot": 3}
    return {f"{channel}{name}": Out(width) for name, width in (fields | {"valid": 1}).items()} | {
        f"{channel}ready": In(1)
    }


def _reads(bus_bytes: int) -> dict[str, wiring.Member]:
    return _address("ar") | {
        "rdata": In(unsigned(8 * bus_bytes)),
        "rresp": In(2),
        "rlast": In(1),
        "rid": In(1),
        "rvalid": In(1),
        "rready": Out(1),
    }


def _writes(bus_bytes: int) -> dict[str, wiring.Member]:
    return _address("aw") | {
        "wdata": Out(unsigned(8 * bus_bytes)),
        "wstrb": Out(bus_bytes),
        "wlast": Out(1),
        "wvalid": Out(1),
        "wready": In(1),
        "bresp": In(2),
        "bid": In(1),
        "bvalid": In(1),
        "bready": Out(1),
    }
