"""The line buffer: bench, and what the constructor refuses."""

import pytest
from amaranth import unsigned

from hw.attention.line_buffer import LineBuffer, Raster
from sim.runner import run_bench
from tests.hw.side_by_side import SideBySide

SIZES = {"max_cells": 3, "max_width": 5}


def test_windows_are_those_of_the_grid():
    parts = SideBySide(raster=Raster(), lines=LineBuffer(shape=unsigned(8), **SIZES))
    result = run_bench(parts, "sim.benches.attention.line_buffer", parameters={"bits": 8, **SIZES})
    assert set(result.tests) == {"rasters", "windows"}


@pytest.mark.parametrize("name", list(SIZES))
@pytest.mark.parametrize("value", [0, -1, 2.5, True, "8"])
def test_sizes_are_checked(name, value):
    with pytest.raises(TypeError, match=f"{name} must be a positive integer, not {value!r}"):
        LineBuffer(shape=unsigned(4), **SIZES | {name: value})
