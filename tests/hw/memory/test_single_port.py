import pytest

from hw.memory.single_port import SinglePort
from hw.synth.devices import DEVICES
from hw.synth.flow import synthesise
from hw.synth.rtlil import to_rtlil
from sim.runner import run_bench


def test_contents_are_those_of_a_list():
    size = {"width": 5, "depth": 37}
    result = run_bench(SinglePort(**size), "sim.benches.memory.single_port", parameters=size)
    assert set(result.tests) == {"random_accesses", "contents_survive_a_reset"}


def test_an_ice40_has_single_port_rams_for_it():
    cells = synthesise(to_rtlil(SinglePort(width=32, depth=16384)), DEVICES["up5k"]).cells
    assert DEVICES["up5k"].usage(cells) == {"lut": 1, "ff": 0, "block": 0, "single_port": 2}


@pytest.mark.parametrize("size", [{"width": 0, "depth": 8}, {"width": 8, "depth": 1}, {"width": "8", "depth": 8}])
def test_sizes_that_make_no_sense(size):
    with pytest.raises(TypeError, match="must be"):
        SinglePort(**size)
