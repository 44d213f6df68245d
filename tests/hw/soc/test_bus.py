"""The decoder: bench, and what the constructor refuses."""

import pytest

from hw.soc.bus import BusDecoder
from sim.runner import run_bench


def test_requests_reach_their_target():
    sizes = {"targets": {"first": 0, "second": 5, "third": 6}, "select_bits": 3}
    result = run_bench(BusDecoder(**sizes), "sim.benches.soc.bus", parameters=sizes)
    assert set(result.tests) == {"requests_reach_their_target"}


def test_a_place_must_fit():
    with pytest.raises(TypeError, match="the place of far must be a number of 2 bits, not 4"):
        BusDecoder(targets={"near": 0, "far": 4}, select_bits=2)


def test_a_place_has_one_target():
    with pytest.raises(TypeError, match="two targets have the place 1"):
        BusDecoder(targets={"one": 1, "other": 1}, select_bits=2)
