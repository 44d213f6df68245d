"""The host's end of the serial line: requests, replies, and what goes wrong between them (docs/protocol.md)."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from golden.errors import SaformerError

PROTOCOL_VERSION = 1
PAYLOAD = 240
"""Most bytes of a payload."""

REPLY, GARBLED = 0x80, 0xFF
"""What a reply adds to the code of its request; the code of the reply to what was no frame."""

READ_WORDS = (PAYLOAD - 1) // 4
WRITE_BYTES = PAYLOAD - 4
TRIES = 4


class Request(IntEnum):
    """Codes of requests."""

    HELLO = 1
    WRITE = 2
    READ = 3
    CHECK = 4
    RUN = 5


class Status(IntEnum):
    """First byte of every reply."""

    DONE = 0
    NOT_A_FRAME = 1
    UNKNOWN_REQUEST = 2
    WRONG_LENGTH = 3
    WRONG_ADDRESS = 4
    TOO_LONG = 5
    MEMORY_ERROR = 6
    RESULTS_LOST = 7
    MEMORY_BROKEN = 8


MEANINGS = {
    Status.UNKNOWN_REQUEST: "the device does not know this request: its firmware is older than this program",
    Status.WRONG_LENGTH: "the request has the wrong length",
    Status.WRONG_ADDRESS: "an address is outside the board's memory: use a smaller model, or a board with more memory",
    Status.TOO_LONG: "the run took more cycles than it was given: what is on the board is no whole program",
    Status.MEMORY_ERROR: "the board's memory refused a word",
    Status.RESULTS_LOST: "the accelerator had more results than the board can keep",
    Status.MEMORY_BROKEN: "the board's memory failed its check when it started",
}


class Line(Protocol):
    """A serial line, or what stands for one."""

    def send(self, content: bytes) -> None:
        """Send bytes. Raises SaformerError when the line is gone."""

    def receive(self, seconds: float) -> bytes:
        """Return what has arrived, and wait for it that long. Raises SaformerError when the line is gone."""

    def clock(self) -> float:
        """Return the time, in the seconds that `receive` counts."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a device says of itself; the fields are those of the registers."""

    protocol: int
    ident: int
    version: int
    build: int
    shape: int
    hertz: int
    memory_bytes: int
    broken_words: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended: clock cycles, and how many logits and counters were written."""

    cycles: int
    logits: int
    counters: int


def stuff(content: bytes) -> bytes:
    """Consistent overhead byte stuffing (Cheshire and Baker, 1999) of less than 254 bytes, and the zero behind it."""
    return b"".join(bytes([len(block) + 1]) + block for block in content.split(b"\0")) + b"\0"


def encode(sequence: int, code: int, payload: bytes) -> bytes:
    """Return a frame as it goes onto the line."""
    content = struct.pack("<BB", sequence, code) + payload
    return stuff(content + struct.pack("<I", zlib.crc32(content)))


def decode(stuffed: bytes) -> tuple[int, int, bytes] | None:
    """Return sequence number, code and payload of the bytes before a zero, or None where they are no frame."""
    content, place = bytearray(), 0
    while place < len(stuffed):
        block = stuffed[place + 1 : place + stuffed[place]]
        if len(block) != stuffed[place] - 1:
            return None
        content += (b"\0" if place else b"") + block
        place += stuffed[place]
    if len(content) < 6 or zlib.crc32(content[:-4]) != int.from_bytes(content[-4:], "little"):
        return None
    return content[0], content[1], bytes(content[2:-4])


class Link:
    """A device at the end of a line.

    Every request is answered, or repeated: all of them may be carried out twice. A reply counts when it has the
    sequence number of the request. When the device says that it has got something that is no frame, that may have been
    the request, or what was on the line before it: it gets a part of the time that is left.

    Parameters
    ----------
    line : to the device
    patience : seconds in which a short request is answered
    """

    def __init__(self, line: Line, *, patience: float = 1.0):
        self._line, self._patience = line, patience
        self._sequence, self._arrived = 0, bytearray()

    def hello(self) -> Identity:
        """Ask who is there. Raises SaformerError where nobody answers, or someone with another protocol."""
        found = Identity(**dict(zip(Identity.__dataclass_fields__, self._words(Request.HELLO, b"", 8), strict=True)))
        if found.protocol != PROTOCOL_VERSION:
            raise SaformerError(
                f"the device speaks version {found.protocol} of the protocol, this program {PROTOCOL_VERSION}: "
                "load the bitstream that belongs to it"
            )
        return found

    def write(self, address: int, content: bytes, *, progress: Callable[[int], object] | None = None) -> None:
        """Write words, as many as there are, frame by frame; ``progress`` is called with the bytes that are written."""
        for first in range(0, len(content), WRITE_BYTES):
            self._request(Request.WRITE, struct.pack("<I", address + first) + content[first : first + WRITE_BYTES])
            if progress is not None:
                progress(min(first + WRITE_BYTES, len(content)))

    def read(self, address: int, words: int) -> list[int]:
        """Read words, as many as there are, frame by frame."""
        found = []
        for first in range(0, words, READ_WORDS):
            count = min(READ_WORDS, words - first)
            found += self._words(Request.READ, struct.pack("<II", address + 4 * first, count), count)
        return found

    def check(self, address: int, words: int, *, patience: float) -> int:
        """Return the CRC-32 of words of the memory."""
        (crc,) = self._words(Request.CHECK, struct.pack("<II", address, words), 1, patience=patience)
        return crc

    def run(
        self,
        *,
        program: int,
        program_words: int,
        items: int,
        item_count: int,
        logits: int,
        counters: int,
        cycles: int,
        patience: float,
    ) -> Outcome:
        """Run a program on the items at an address, and let the device write logits and counters to theirs.

        ``cycles`` is what it may take. Addresses count bytes, ``program_words`` words of the program's bus.
        """
        fields = (program, program_words, items, item_count, logits, counters, cycles)
        found = self._words(Request.RUN, struct.pack("<7I", *fields), 3, patience=patience)
        return Outcome(**dict(zip(Outcome.__dataclass_fields__, found, strict=True)))

    def _words(self, request: Request, payload: bytes, count: int, *, patience: float | None = None) -> list[int]:
        """Request something, and return the words of the reply."""
        content = self._request(request, payload, patience=patience)
        if len(content) != 4 * count:
            raise SaformerError(f"the device answered {request.name} with {len(content)} bytes, not {4 * count}")
        return list(struct.unpack(f"<{count}I", content))

    def _request(self, request: Request, payload: bytes, *, patience: float | None = None) -> bytes:
        """Send a request until it is answered; return the payload of the reply without its status.

        Raises SaformerError for a status that is not DONE, and when there is no answer.
        """
        self._sequence = self._sequence % 255 + 1
        for _ in range(TRIES):
            # The zero ends what may be left of a frame that did not arrive whole.
            self._line.send(b"\0" + encode(self._sequence, request, payload))
            content = self._await(self._sequence, request | REPLY, patience or self._patience)
            if content is not None:
                return content
        raise SaformerError(
            f"the device did not answer {request.name} in {TRIES} tries: check the port, the cable and the bitstream"
        )

    def _await(self, sequence: int, code: int, patience: float) -> bytes | None:
        """Wait for a reply; return None when the time is over."""
        end = self._line.clock() + patience
        while (left := end - self._line.clock()) > 0:
            self._arrived += self._line.receive(left)
            while b"\0" in self._arrived:
                stuffed, _, rest = self._arrived.partition(b"\0")
                self._arrived = bytearray(rest)
                frame = decode(bytes(stuffed))
                if frame is None or not frame[2]:
                    continue
                if frame[1] == GARBLED:
                    end = min(end, self._line.clock() + patience / 4)
                if frame[:2] == (sequence, code):
                    if frame[2][0] != Status.DONE:
                        raise SaformerError(_meaning(frame[2][0]))
                    return frame[2][1:]
        return None


def _meaning(status: int) -> str:
    """What a status says, as one line."""
    try:
        return MEANINGS[Status(status)]
    except (KeyError, ValueError):
        return f"the device answered with the unknown status {status}: its firmware is newer than this program"
