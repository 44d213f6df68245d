"""Requests that do not wait for each other's answers."""

from firmware.link import REPLY, Line, Request, Status, decode, encode


def ask_together(line: Line, *, patience: float) -> list[tuple[int, int, int]]:
    """Send three requests at once, the second of them one that nobody knows; return sequence number, code and status of
    every reply that comes within ``patience`` seconds."""
    requests = [(1, Request.HELLO, b""), (2, 99, b"abcd"), (3, Request.HELLO, b"")]
    line.send(b"".join(encode(*request) for request in requests))
    arrived, end = b"", line.clock() + patience
    while arrived.count(b"\0") < len(requests) and line.clock() < end:
        arrived += line.receive(patience)
    frames = [decode(stuffed) for stuffed in arrived.split(b"\0") if stuffed]
    return [(sequence, code, payload[0]) for sequence, code, payload in frames]


ANSWERS = [
    (1, Request.HELLO | REPLY, Status.DONE),
    (2, 99 | REPLY, Status.UNKNOWN_REQUEST),
    (3, Request.HELLO | REPLY, Status.DONE),
]
"""What they are answered, in their order."""
