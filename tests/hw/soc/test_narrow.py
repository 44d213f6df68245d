"""The bus and a narrower memory: bench, and what the constructor refuses."""

from dataclasses import replace

import pytest

from golden.errors import SaformerError
from hw.config import HARDWARE
from hw.soc.narrow import BusNarrower
from sim.runner import run_bench


@pytest.mark.parametrize(("bus_bytes", "bytes"), [(8, 2), (4, 2), (32, 4)])
def test_words_become_transfers(bus_bytes, bytes):
    config = replace(HARDWARE["default"], bus_bytes=bus_bytes)
    sizes = {"bus_bytes": bus_bytes, "burst_words": config.burst_words, "bytes": bytes}
    result = run_bench(BusNarrower(config=config, bytes=bytes), "sim.benches.soc.narrow", parameters=sizes)
    assert set(result.tests) == {"words_pass", "every_transfer_is_used", "reset_in_the_middle"}


@pytest.mark.parametrize("bytes", [3, 8, 16])
def test_the_memory_must_be_narrower(bytes):
    with pytest.raises(TypeError, match=f"bytes must be a part of the 8 of a word, not {bytes}"):
        BusNarrower(config=HARDWARE["default"], bytes=bytes)


def test_bursts_can_be_too_long():
    config = replace(HARDWARE["default"], burst_words=65)
    with pytest.raises(SaformerError, match="too long for a memory of 2 bytes: reduce burst_words to 64"):
        BusNarrower(config=config, bytes=2)
