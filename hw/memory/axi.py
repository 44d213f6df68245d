"""The read channels of AXI4 (ARM IHI 0022), under their standard names."""

from amaranth import unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import HardwareConfig

INCR = 0b01
"""Burst type: the address counts up."""

ADDRESS_BITS = 32


def read_signature(config: HardwareConfig) -> wiring.Signature:
    """Address and data channel of a master that only reads, ``bus_bytes`` wide, with one transaction ID."""
    return wiring.Signature(
        {
            "araddr": Out(ADDRESS_BITS),
            "arlen": Out(8),
            "arsize": Out(3),
            "arburst": Out(2),
            "arid": Out(1),
            "arlock": Out(1),
            "arcache": Out(4),
            "arprot": Out(3),
            "arvalid": Out(1),
            "arready": In(1),
            "rdata": In(unsigned(8 * config.bus_bytes)),
            "rresp": In(2),
            "rlast": In(1),
            "rid": In(1),
            "rvalid": In(1),
            "rready": Out(1),
        }
    )
