from dataclasses import asdict, replace

import pytest

from hw.config import HARDWARE
from hw.soc.memory_port import MemoryPort
from sim.runner import run_bench


@pytest.mark.parametrize("bus_bytes", [4, 16])
def test_core_and_accelerator_share_the_memory(bus_bytes):
    config = replace(HARDWARE["default"], bus_bytes=bus_bytes)
    port = MemoryPort(config=config, address_bits=12)
    result = run_bench(port, "sim.benches.soc.memory_port", parameters=asdict(config))
    assert set(result.tests) == {"both_at_once", "alone", "reset_in_the_middle", "accelerators_are_forgotten"}
