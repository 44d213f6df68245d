import pytest

from hw.memory.single_port import SinglePort
from hw.synth.devices import DEVICES
from hw.synth.flow import synthesise
from hw.synth.rtlil import to_rtlil
from sim.runner import run_bench


@pytest.mark.parametrize("size", [{"width": 5, "depth": 37}, {"width": 32, "depth": 16, "granularity": 8}])
def test_contents_are_those_of_a_list(size):
    result = run_bench(SinglePort(**size), "sim.benches.memory.single_port", parameters=size)
    assert set(result.tests) == {"random_accesses", "contents_survive_a_reset"}


@pytest.mark.parametrize(("granularity", "luts"), [(None, 1), (8, 6)])
def test_an_ice40_has_single_port_rams_for_it(granularity, luts):
    memory = SinglePort(width=32, depth=16384, granularity=granularity)
    cells = synthesise(to_rtlil(memory), DEVICES["up5k"]).cells
    assert DEVICES["up5k"].usage(cells) == {"lut": luts, "ff": 0, "block": 0, "single_port": 2}


@pytest.mark.parametrize(
    "size",
    [
        {"width": 0, "depth": 8},
        {"width": 8, "depth": 1},
        {"width": "8", "depth": 8},
        {"width": 8, "depth": 8, "granularity": 3},
        {"width": 8, "depth": 8, "granularity": 0},
    ],
)
def test_sizes_that_make_no_sense(size):
    with pytest.raises(TypeError, match="must be"):
        SinglePort(**size)
