"""The device in a process of its own: requests and replies, and ten thousand frames that are none."""

import os
import random
import re
import selectors
import subprocess
import time
import zlib

import pytest

from firmware.link import GARBLED, Link, Request, Status, decode, encode
from golden.errors import SaformerError
from tests.firmware.garbage import garbage
from tests.firmware.native import FOLDER, STAND_INS, compile_native
from tests.firmware.together import ANSWERS, ask_together

MEMORY_BYTES = 1 << 16
PROGRAM, ITEMS, LOGITS, COUNTERS = 64, 0x1000, 0x2000, 0x3000
NO_FAULT, NEVER_ENDS, REFUSED_WORD, LOST_RESULT = range(4)


class Process:
    """The device's process as a line."""

    def __init__(self, program):
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)

    def send(self, content: bytes) -> None:
        self._process.stdin.write(content)

    def receive(self, seconds: float) -> bytes:
        return os.read(self._process.stdout.fileno(), 4096) if self._selector.select(seconds) else b""

    def clock(self) -> float:
        return time.monotonic()

    def close(self) -> bytes:
        """End the input; return what is still sent. The process must end by itself, and well."""
        rest, _ = self._process.communicate(timeout=10)
        self._selector.close()
        assert self._process.returncode == 0
        return rest


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("device") / "device"
    stand_ins = [STAND_INS / "board.c", STAND_INS / "crc.c"]
    compile_native(path, ["device.c", "frame.c", *stand_ins], "-fsanitize=address")
    return path


@pytest.fixture
def line(program):
    process = Process(program)
    yield process
    process.close()


@pytest.fixture
def link(line):
    return Link(line)


def start(
    link: Link, *, items: list[int], logits: int = 0, counters: int = 0, fault: int = NO_FAULT, cycles: int = 10**6
):
    """Upload a program of the stand-in and its items, and run it."""
    words = [len(items), logits, counters, fault]
    link.write(PROGRAM, b"".join(word.to_bytes(4, "little") for word in words))
    content = b"".join(item.to_bytes(2, "little") for item in items)
    link.write(ITEMS, content + bytes(-len(content) % 4))
    return link.run(
        program=PROGRAM,
        program_words=2,
        items=ITEMS,
        item_count=len(items),
        logits=LOGITS,
        counters=COUNTERS,
        cycles=cycles,
        patience=5.0,
    )


def test_codes_are_those_of_the_firmware():
    header = re.sub(r"/\*.*?\*/", "", (FOLDER / "device.h").read_text())
    for name, codes in (("request", Request), ("status", Status)):
        body = re.search(rf"enum {name} {{(.*?)}};", header, re.DOTALL)[1]
        assert {key: int(value) for key, value in re.findall(r"(\w+) = (\d+)", body)} == {
            c.name: c.value for c in codes
        }


def test_it_says_who_it_is(link):
    found = link.hello()
    assert (found.ident, found.memory_bytes, found.broken_words) == (0x53414631, MEMORY_BYTES, 0)


def test_requests_that_come_together_are_answered_in_their_order(line):
    assert ask_together(line, patience=5.0) == ANSWERS


def test_memory_is_written_read_and_checked(link):
    rng = random.Random(1)
    content = rng.randbytes(4000)
    link.write(0, content)
    assert b"".join(word.to_bytes(4, "little") for word in link.read(0, 1000)) == content
    assert link.check(0, 1000, patience=5.0) == zlib.crc32(content)
    assert link.check(8, 0, patience=5.0) == zlib.crc32(b"")


@pytest.mark.parametrize("count", [0, 1, 2, 501])
def test_a_program_runs_on_its_items(link, count):
    items = [random.Random(count).getrandbits(16) for _ in range(count)]
    outcome = start(link, items=items, logits=10, counters=3)
    total = 0
    for item in items:
        total = (31 * total + item) % 2**32
    assert (outcome.logits, outcome.counters) == (10, 3)
    assert link.read(LOGITS, 10) == [total * left % 2**32 for left in range(10, 0, -1)]
    expected = [word for left in range(3, 0, -1) for word in (left << 8, (total + left) % 2**32)]
    assert link.read(COUNTERS, 6) == expected


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (NEVER_ENDS, "more cycles than it was given"),
        (REFUSED_WORD, "memory refused a word"),
        (LOST_RESULT, "more results than the board can keep"),
    ],
)
def test_a_run_that_fails_is_told_and_the_next_one_works(link, fault, message):
    with pytest.raises(SaformerError, match=message):
        start(link, items=[1, 2, 3], logits=2, fault=fault)
    assert start(link, items=[1, 2, 3], logits=2).logits == 2


@pytest.mark.parametrize(
    ("code", "payload", "status"),
    [
        (0, b"", Status.UNKNOWN_REQUEST),
        (99, b"1234", Status.UNKNOWN_REQUEST),
        (Request.HELLO, b"1", Status.WRONG_LENGTH),
        (Request.WRITE, b"", Status.WRONG_LENGTH),
        (Request.WRITE, bytes(4) + b"123", Status.WRONG_LENGTH),
        (Request.WRITE, b"\x01\0\0\0" + bytes(4), Status.WRONG_ADDRESS),
        (Request.WRITE, b"\xfc\xff\0\0" + bytes(8), Status.WRONG_ADDRESS),
        (Request.WRITE, b"\xfc\xff\xff\xff" + bytes(8), Status.WRONG_ADDRESS),
        (Request.READ, bytes(7), Status.WRONG_LENGTH),
        (Request.READ, bytes(4) + b"\x3c\0\0\0", Status.WRONG_LENGTH),
        (Request.READ, b"\0\0\x01\0" + b"\x01\0\0\0", Status.WRONG_ADDRESS),
        (Request.CHECK, bytes(4) + b"\xff\xff\xff\xff", Status.WRONG_ADDRESS),
        (Request.RUN, bytes(27), Status.WRONG_LENGTH),
        (Request.RUN, b"\x04" + bytes(27), Status.WRONG_ADDRESS),
        (Request.RUN, bytes(4) + b"\xff\xff\xff\xff" + bytes(20), Status.WRONG_ADDRESS),
        (Request.RUN, bytes(12) + b"\xff\xff\xff\xff" + bytes(12), Status.WRONG_ADDRESS),
        (Request.RUN, bytes(16) + b"\x04\0\x01\0" + bytes(8), Status.WRONG_ADDRESS),
    ],
)
def test_a_wrong_request_gets_its_status(program, code, payload, status):
    process = Process(program)
    process.send(encode(7, code, payload))
    assert decode(process.close()[:-1]) == (7, code | 0x80, bytes([status]))


def test_results_stay_inside_the_memory(link):
    words = [0, 10, 0, NO_FAULT]
    link.write(PROGRAM, b"".join(word.to_bytes(4, "little") for word in words))
    where = {"program": PROGRAM, "program_words": 2, "items": ITEMS, "item_count": 0, "counters": COUNTERS}
    with pytest.raises(SaformerError, match="outside the board's memory"):
        link.run(**where, logits=MEMORY_BYTES - 16, cycles=10**6, patience=5.0)


def test_ten_thousand_frames_that_are_none(program):
    """Each is answered as one that is none, or not at all; the request behind it is answered rightly; and in the end
    an inference still works."""
    rng, process = random.Random(2), Process(program)
    link = Link(process)
    begun = start(link, items=[1, 2, 3], logits=4)
    for number in range(10_000):
        before = garbage(rng)
        sequence = number % 255 + 1
        process.send(before + b"\0" + encode(sequence, Request.READ, LOGITS.to_bytes(4, "little") + b"\x04\0\0\0"))
        arrived = b""
        while not (
            arrived.endswith(b"\0") and decode(arrived[:-1].split(b"\0")[-1])[:2] == (sequence, Request.READ | 0x80)
        ):
            more = process.receive(5.0)
            assert more, f"no answer behind {before.hex()}"
            arrived += more
        *others, (_, _, payload) = [decode(stuffed) for stuffed in arrived[:-1].split(b"\0")]
        assert payload == b"\0" + b"".join(
            word.to_bytes(4, "little") for word in (1026 * left for left in (4, 3, 2, 1))
        )
        assert set(others) <= {(0, GARBLED, bytes([Status.NOT_A_FRAME]))}, before.hex()
    assert start(link, items=[1, 2, 3], logits=4).logits == begun.logits
    process.close()
