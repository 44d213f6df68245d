"""Frames: what is written is read, nothing else is, and after any garbage the next frame is."""

import ctypes
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.link import encode, stuff
from tests.firmware.native import FRAME_BYTES, FRAME_PAYLOAD, Frame, FrameReader, frames

NONE, GOOD, WRONG = range(3)


@pytest.fixture(scope="module", autouse=True)
def built():
    """The library, before an example that is timed."""
    frames()


numbers = st.integers(0, 255)
payloads = st.binary(max_size=FRAME_PAYLOAD) | st.integers(0, FRAME_PAYLOAD).map(bytes)
contents = st.tuples(numbers, numbers, payloads)


def read(line: bytes, reader: FrameReader | None = None) -> list[tuple[int, int, bytes] | int]:
    """What a reader makes of the bytes of a line: the content of a frame, or WRONG, for every end of one."""
    reader = reader or FrameReader()
    found = []
    for byte in line:
        event = frames().frame_take(ctypes.byref(reader), byte)
        if event != NONE:
            found.append(reader.frame.text() if event == GOOD else WRONG)
    return found


@given(contents)
def test_frames_are_written_as_specified(content):
    sequence, code, payload = content
    frame = Frame(count=len(payload))
    frame.content[2:4] = sequence, code
    frame.content[4 : 4 + len(payload)] = payload
    line = (ctypes.c_uint8 * (FRAME_BYTES + 2))()
    count = frames().frame_write(ctypes.byref(frame), line)
    assert bytes(line[:count]) == encode(*content)


@given(st.lists(contents, min_size=1, max_size=4), st.integers(0, 3))
def test_frames_are_read_one_after_the_other(sent, zeros):
    assert read(b"".join(bytes(zeros) + encode(*content) for content in sent)) == sent


@settings(max_examples=1000)
@given(st.binary(max_size=700), contents)
def test_after_any_garbage_the_next_frame_is_read(garbage, content):
    found = read(garbage + b"\0" + encode(*content))
    assert found[-1] == content
    assert set(found[:-1]) <= {WRONG}


@settings(max_examples=1000)
@given(contents, st.data())
def test_a_frame_that_was_altered_is_none(content, data):
    line = bytearray(encode(*content))
    place = data.draw(st.integers(0, len(line) - 1))
    line[place] ^= data.draw(st.integers(1, 255))
    assert content not in read(bytes(line))
    assert read(bytes(line) + b"\0" + encode(1, 2, b"next"))[-1] == (1, 2, b"next")


@given(contents, st.data())
def test_a_frame_that_is_cut_off_is_none(content, data):
    line = encode(*content)
    short = line[: data.draw(st.integers(0, len(line) - 2))]
    assert set(read(short + b"\0")) <= {WRONG}


def test_a_frame_that_is_too_long_is_none():
    content = bytes([1, 2]) + b"x" * (FRAME_PAYLOAD + 1)
    long = content + zlib.crc32(content).to_bytes(4, "little")
    assert read(stuff(long)) == [WRONG]
    assert read(b"\xff" + b"y" * 5000 + b"\0" + encode(1, 2, b"")) == [WRONG, (1, 2, b"")]
