"""The program image: the one file that holds everything an accelerator needs for a model."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import bitstring

from golden.config import ModelConfig
from golden.errors import SaformerError
from golden.files import write_atomically
from hw.compile.chain import ChainConfig
from hw.compile.lowering import Lowered
from hw.config import HardwareConfig
from hw.program import DESCRIPTOR_LAYOUT

MAGIC = b"SAFIMAGE"
VERSION = 1
ALIGNMENT = 64
"""The payload begins at a multiple of so many bytes in the file, which is one of every bus width."""

FORMAT = "bytes:8, uintle:16, uintle:16, uintle:32, uintle:64, bytes:32"
"""Magic, version, bits of a descriptor, bytes of the header, bytes of the payload, SHA-256 of all that follows."""

FIXED = 56
"""Bytes of `FORMAT`."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """A program image that has been checked.

    Members: hardware : what it runs on; model : name and shape of the network's input and output; payload : what the
    accelerator reads; offset : where that begins in the file; digest : SHA-256 of model, hardware and payload, in hex.
    """

    hardware: HardwareConfig
    model: Mapping[str, object]
    payload: bytes
    offset: int
    digest: str


def pack_image(lowered: Lowered) -> bytes:
    """Return the image of a program: header, a JSON text that says what it is for, padding, payload."""
    payload = lowered.program.payload()
    text = json.dumps({"hardware": asdict(lowered.config), "model": describe_model(lowered.model)}, sort_keys=True)
    about = text.encode()
    about += b" " * (-(FIXED + len(about)) % ALIGNMENT)
    digest = hashlib.sha256(about + payload).digest()
    fields = (MAGIC, VERSION, DESCRIPTOR_LAYOUT.size, FIXED + len(about), len(payload), digest)
    return bitstring.pack(FORMAT, *fields).tobytes() + about + payload


def describe_model(model: ModelConfig | ChainConfig) -> dict[str, object]:
    """What must be known of a model to feed it and to read its logits."""
    names = ("name", "input", "in_channels", "image_size", "timesteps", "classes")
    return {name: getattr(model, name) for name in names}


def write_image(path: Path, lowered: Lowered) -> Image:
    """Write the image of a program, whole or not at all, and return it as it is read again."""
    content = pack_image(lowered)
    write_atomically(path, lambda file: file.write(content))
    return unpack_image(content, str(path))


def matching_image(path: Path, lowered: Lowered) -> bytes:
    """Read an image that was made for a model and hardware like this.

    Raises SaformerError for a file that cannot be read, is not a whole, unaltered image, or is for something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SaformerError(f"cannot read {path} ({error.strerror}): name a file that `saformer lower` wrote") from None
    check_image(unpack_image(content, str(path)), lowered, str(path))
    return content


def unpack_image(content: bytes, name: str) -> Image:
    """Check the bytes of an image called ``name``, and take it apart.

    Raises SaformerError for what is no image, one of another version, a truncated or an altered one.
    """
    again = "write it again with `saformer lower`"
    if content[: len(MAGIC)] != MAGIC:
        raise SaformerError(f"{name} is not a program image: {again}")
    if len(content) < FIXED:
        raise SaformerError(f"{name} is truncated ({len(content)} bytes): {again}")
    _, version, descriptor, header, size, digest = bitstring.Bits(content[:FIXED]).unpack(FORMAT)
    if (version, descriptor) != (VERSION, DESCRIPTOR_LAYOUT.size):
        raise SaformerError(
            f"{name} is a program image of version {version} with descriptors of {descriptor} bits, not of version "
            f"{VERSION} with {DESCRIPTOR_LAYOUT.size}: {again}"
        )
    if len(content) != header + size:
        raise SaformerError(f"{name} has {len(content)} bytes, not the {header + size} that its header says: {again}")
    if hashlib.sha256(content[FIXED:]).digest() != digest:
        raise SaformerError(f"{name} has been altered, its SHA-256 is another one: {again}")
    about = json.loads(content[FIXED:header])
    return Image(
        hardware=HardwareConfig(**about["hardware"]),
        model=about["model"],
        payload=content[header:],
        offset=header,
        digest=digest.hex(),
    )


def check_image(image: Image, lowered: Lowered, name: str) -> None:
    """Raises SaformerError for an image that was made for other hardware or for a model of another shape."""
    if image.hardware != lowered.config:
        mine, theirs = asdict(lowered.config), asdict(image.hardware)
        field = next(key for key in mine if mine[key] != theirs[key])
        raise SaformerError(
            f"{name} is for other hardware ({field} is {theirs[field]}, not {mine[field]}): name its own with --hw"
        )
    if image.model != describe_model(lowered.model):
        raise SaformerError(f"{name} is for another model ({image.model['name']}, not {lowered.model.name}): name that")
