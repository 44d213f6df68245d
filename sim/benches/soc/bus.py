"""The decoder: every request reaches the target that its address names, and no other one."""

import cocotb
from cocotb.triggers import Timer

from sim.streams import generator, parameters

TARGETS, SELECT_BITS = parameters()["targets"], parameters()["select_bits"]
INNER = 30 - SELECT_BITS


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def requests_reach_their_target(dut):
    """Random requests, and random answers of all targets at the same time."""
    rng = generator("requests")
    for _ in range(2000):
        place, valid = rng.randrange(1 << SELECT_BITS), rng.getrandbits(1)
        request = {"address": rng.getrandbits(INNER), "mask": rng.getrandbits(4), "data": rng.getrandbits(32)}
        replies = {name: (rng.getrandbits(1), rng.getrandbits(32)) for name in TARGETS}
        dut.bus__valid.value, dut.bus__address.value = valid, place << INNER | request["address"]
        dut.bus__mask.value, dut.bus__data.value = request["mask"], request["data"]
        for name, (ready, answer) in replies.items():
            getattr(dut, f"{name}__ready").value, getattr(dut, f"{name}__answer").value = ready, answer
        await Timer(1, "ns")
        chosen = next((name for name, number in TARGETS.items() if number == place), None)
        assert (dut.bus__ready.value, dut.bus__answer.value) == replies.get(chosen, (1, 0))
        for name in TARGETS:
            assert getattr(dut, f"{name}__valid").value == (valid and name == chosen)
            if name == chosen:
                assert {key: int(getattr(dut, f"{name}__{key}").value) for key in request} == request
