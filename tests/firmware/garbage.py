"""What a line may carry that is no frame."""

import random

from firmware.link import Request, encode


def garbage(rng: random.Random) -> bytes:
    """A frame that was altered, cut off, or never was one; none of them ends in a valid frame."""
    code, payload = rng.choice(list(Request)), rng.randbytes(rng.choice((0, 4, 8, 28, rng.randint(0, 240))))
    frame = bytearray(encode(rng.randrange(256), code, payload))
    match rng.randrange(4):
        case 0:
            frame[rng.randrange(len(frame) - 1)] ^= rng.randint(1, 255)
        case 1:
            del frame[rng.randrange(len(frame) - 1) :]
        case 2:
            first = rng.randrange(len(frame) - 1)
            del frame[first : first + rng.randint(1, 5)]
        case 3:
            frame = bytearray(rng.randbytes(rng.randint(1, 400)))
    return bytes(frame)
