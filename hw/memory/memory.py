"""Memories whose data arrives in the cycle after the address."""

from amaranth import Module, Signal, Value, unsigned
from amaranth.hdl import ShapeLike
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

UNDEFINED = "undefined"
"""The attribute of what has no value after power-up, as a single-port RAM of an iCE40: simulation takes any."""


def check_size(*, width: int, depth: int) -> None:
    """Raises TypeError for a width or a depth that no memory has."""
    if type(width) is not int or width < 1:
        raise TypeError(f"width must be a positive integer, not {width!r}")
    if type(depth) is not int or depth < 2:
        raise TypeError(f"depth must be an integer of at least 2, not {depth!r}")


def block_memory(*, shape: ShapeLike, depth: int) -> Memory:
    """A memory for block RAM, to be read with `read_block`.

    Nothing may depend on what is read from an entry in the cycle in which it is written: simulation gives the old one,
    block RAM anything.
    """
    # Otherwise Yosys puts a multiplexer and a register beside every bit of the block RAM, to give the old entry.
    return Memory(shape=shape, depth=depth, init=[], attrs={"no_rw_check": 1})


def read_block(
    m: Module,
    block: Memory,
    *,
    address: Value,
    enable: Value | int = 1,
    clear: Value | int = 0,
    undefined: bool = False,
):
    """Read a memory at ``address`` in cycles with ``enable``; return the entry, which stays until the next read.

    With ``clear`` it is 0 instead. Before the first read it is 0 too, which takes a LUT for every bit on an iCE40, or
    ``undefined``.
    """
    port = block.read_port(domain="comb")
    # Yosys makes this register part of the block RAM, and takes the attribute only from a port that it makes itself.
    entry = Signal(block.shape, reset_less=True, attrs={UNDEFINED: 1} if undefined else {})
    m.d.comb += port.addr.eq(address)
    with m.If(enable):
        m.d.sync += entry.eq(port.data)
    with m.If(clear):
        m.d.sync += entry.eq(0)
    return entry


class SyncMemory(wiring.Component):
    """One write port and one read port, for a memory that the program loader or a datapath fills and one unit reads.

    Parameters
    ----------
    width : bits of an entry
    depth : entries, at least 2

    Members
    -------
    write : In(stream of address and entry, always ready)
    enable : In(1), address : In, read the entry at this address ...
    data : Out, ... and have it one cycle later, until the next read

    Throughput: one write and one read a cycle. An entry is not defined when it is read while it is written.
    """

    def __init__(self, *, width: int, depth: int):
        check_size(width=width, depth=depth)
        self.width = width
        self.depth = depth
        entry = data.StructLayout({"address": range(depth), "data": unsigned(width)})
        super().__init__(
            {
                "write": In(stream.Signature(entry, always_ready=True)),
                "enable": In(1),
                "address": In(range(depth)),
                "data": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = block_memory(shape=self.width, depth=self.depth)
        write = memory.write_port()
        m.d.comb += [
            write.addr.eq(self.write.payload.address),
            write.data.eq(self.write.payload.data),
            write.en.eq(self.write.valid),
            self.data.eq(read_block(m, memory, address=self.address, enable=self.enable)),
        ]
        return m
