"""The program image: what is in it, and what is refused."""

import dataclasses

import pytest

from golden.calibrate import init_model
from golden.config import ModelConfig
from golden.errors import SaformerError
from hw.compile.image import ALIGNMENT, FIXED, MAGIC, check_image, matching_image, pack_image, unpack_image, write_image
from hw.compile.lowering import lower
from hw.config import HARDWARE

MODEL = ModelConfig(name="small", dim=16, depth=1, image_size=16)


@pytest.fixture(scope="module")
def lowered():
    return lower(init_model(MODEL, seed=1), HARDWARE["small"])


@pytest.fixture(scope="module")
def content(lowered):
    return pack_image(lowered)


def test_an_image_holds_the_program_and_says_what_it_is_for(lowered, content, tmp_path):
    image = write_image(tmp_path / "small.img", lowered)
    assert (tmp_path / "small.img").read_bytes() == content
    assert image.payload == lowered.program.payload()
    assert image.hardware == HARDWARE["small"]
    assert image.model["name"] == "small"
    assert image.offset % ALIGNMENT == 0
    assert content[image.offset :] == image.payload
    check_image(image, lowered, "it")
    assert matching_image(tmp_path / "small.img", lowered) == content


def test_an_image_is_reproducible(content):
    assert pack_image(lower(init_model(MODEL, seed=1), HARDWARE["small"])) == content


@pytest.mark.parametrize("length", [0, 5, len(MAGIC), FIXED - 1, FIXED, 1000, -1])
def test_a_truncated_image(length, content):
    with pytest.raises(SaformerError, match=r"is not a program image|is truncated|bytes, not the"):
        unpack_image(content[:length], "it")


@pytest.mark.parametrize("place", [0, 8, 10, 12, 20, 24, FIXED - 1, FIXED, FIXED + 50, 5000, -1])
def test_every_flipped_bit_is_found(place, content):
    altered = bytearray(content)
    altered[place] ^= 4
    with pytest.raises(SaformerError, match=r"^it ") as error:
        unpack_image(bytes(altered), "it")
    assert "saformer lower" in str(error.value)


def test_bytes_behind_the_image(content):
    with pytest.raises(SaformerError, match=f"it has {len(content) + 1} bytes, not the {len(content)} that"):
        unpack_image(content + b"x", "it")


@pytest.mark.parametrize(
    ("model", "hardware", "message"),
    [
        (dataclasses.replace(MODEL, name="other"), HARDWARE["small"], r"for another model \(small, not other\)"),
        (MODEL, HARDWARE["narrow"], r"for other hardware \(name is small, not narrow\): name its own with --hw"),
    ],
)
def test_an_image_for_something_else(model, hardware, message, content, tmp_path):
    path = tmp_path / "foreign.img"
    path.write_bytes(content)
    with pytest.raises(SaformerError, match=message):
        matching_image(path, lower(init_model(model, seed=1), hardware))


def test_no_such_image(lowered, tmp_path):
    with pytest.raises(SaformerError, match=r"cannot read .*: name a file that `saformer lower` wrote"):
        matching_image(tmp_path / "no.img", lowered)
