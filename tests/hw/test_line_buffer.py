"""The line buffer: bench, and what the constructor refuses."""

import pytest
from amaranth import unsigned

from hw.line_buffer import LineBuffer
from sim.runner import run_bench


def test_windows_are_those_of_pytorch():
    component = LineBuffer(shape=unsigned(4), max_width=5)
    result = run_bench(component, "sim.benches.line_buffer", parameters={"bits": 4})
    assert set(result.tests) == {"windows", "interrupted"}


@pytest.mark.parametrize("max_width", [0, -1, 2.5, True, "8"])
def test_max_width_is_checked(max_width):
    with pytest.raises(TypeError, match=f"max_width must be a positive integer, not {max_width!r}"):
        LineBuffer(shape=unsigned(4), max_width=max_width)
