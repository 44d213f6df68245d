"""Fields of records."""

import numpy as np
import pytest
from amaranth.lib import data
from hypothesis import given
from hypothesis import strategies as st

from sim.records import Records, extract
from sim.streams import pack, unpack


@given(width=st.integers(1, 63), offset=st.integers(0, 70), signed=st.booleans(), content=st.data())
def test_extract_is_the_inverse_of_packing(width, offset, signed, content):
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if signed else (0, (1 << width) - 1)
    rows = content.draw(st.lists(st.lists(st.integers(low, high), min_size=5, max_size=5), min_size=1, max_size=3))
    size = -(-(offset + 5 * width) // 32)
    packed = [pack(row, width) << offset for row in rows]
    words = np.array([[(word >> (32 * place)) & 0xFFFFFFFF for place in range(size)] for word in packed], np.uint32)
    assert extract(words, offset=offset, width=width, count=5, signed=signed).tolist() == rows
    assert [unpack(word >> offset, width, 5, signed=signed) for word in packed] == rows


def test_fields_of_a_nested_payload():
    shape = data.StructLayout({"layer": 8, "data": data.ArrayLayout(data.ArrayLayout(4, 2), 3)})
    words = np.array([[0x65432107], [0xFEDCBA01]], np.uint32)
    records = Records(np.zeros(2, np.uint64), words, shape)
    assert records.field("layer").tolist() == [7, 1]
    assert records.field("data").tolist() == [[[1, 2], [3, 4], [5, 6]], [[10, 11], [12, 13], [14, 15]]]


def test_a_field_too_wide_is_refused():
    with pytest.raises(TypeError, match="1 to 63 bits to fit an int64, not 64"):
        extract(np.zeros((1, 3), np.uint32), offset=0, width=64, count=1, signed=False)
