"""Being the memory beside a design, and those who use it too."""

import random
from collections import deque
from collections.abc import Callable

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.triggers import ReadOnly, RisingEdge


def serve(
    dut: HierarchyObject,
    prefix: str,
    read: Callable[[int], int],
    *,
    noise: random.Random | None = None,
    latency: int = 1,
) -> None:
    """Answer the read port ``{prefix}enable``, ``{prefix}address``, ``{prefix}data`` ``latency`` cycles after each
    request.

    The data stay until the next request; with ``noise`` they are random in all other cycles, so that a design that
    looks at them then is found out.
    """
    enable, address, data = (getattr(dut, f"{prefix}{name}") for name in ("enable", "address", "data"))

    async def run():
        value, late = 0, deque([0] * (latency - 1))
        while True:
            await ReadOnly()
            if enable.value:
                value = read(int(address.value))
            elif noise:
                value = noise.getrandbits(len(data))
            late.append(value)
            await RisingEdge(dut.clk)
            data.value = late.popleft()

    cocotb.start_soon(run())


def toggle(dut: HierarchyObject, port: str, probability: Callable[[], float], *, rng: random.Random) -> None:
    """Set an input of one bit in every cycle with some probability, which may change."""

    async def run():
        while True:
            getattr(dut, port).value = int(rng.random() < probability())
            await RisingEdge(dut.clk)

    cocotb.start_soon(run())
