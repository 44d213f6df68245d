"""The firmware of the SoC, in C; `image` is what was built of it."""

from pathlib import Path

IMAGE = Path(__file__).with_name("image.bin")
"""The built image, which `python -m scripts.firmware` makes."""


def image() -> list[int]:
    """Return the words that the core starts with."""
    content = IMAGE.read_bytes()
    return [int.from_bytes(content[start : start + 4], "little") for start in range(0, len(content), 4)]
