"""The serial accelerator as a whole: its size, and the parameters that make no sense. What it computes is tested in
tests/sim/test_serial.py."""

from dataclasses import replace

import pytest

from golden.errors import SaformerError
from hw.serial.accelerator import SerialAccelerator
from hw.serial.config import SERIAL, SerialConfig, load_serial
from hw.synth.devices import DEVICES
from hw.synth.flow import synthesise
from hw.synth.rtlil import to_rtlil


def test_it_fits_half_of_the_smallest_device():
    device = DEVICES["up5k"]
    design = to_rtlil(SerialAccelerator(config=SERIAL["serial"]), without=("trace_",))
    usage = device.usage(synthesise(design, device).cells)
    assert usage["lut"] < device.capacity["lut"] / 2
    assert usage["ff"] < device.capacity["ff"] / 2
    assert usage["block"] <= device.capacity["block"]
    assert usage["single_port"] == device.capacity["single_port"]


def test_there_is_no_multiplier():
    assert "$mul" not in to_rtlil(SerialAccelerator(config=SERIAL["serial"]))


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ({"lanes": 12}, "lanes must be 8 or 16, not 12"),
        ({"timesteps": 3}, "timesteps must be a power of two of at least 1, not 3"),
        ({"side": 2}, "side must be a power of two of at least 4, not 2"),
        ({"maps": 2}, "maps must be a power of two of at least 4, not 2"),
        ({"timesteps": 1, "words": 4}, "must be at least 8: a map holds the bits of a pixel"),
        ({"weight_depth": 500}, "weight_depth must be a power of two, not 500"),
        ({"store_depth": 1}, "store_depth must be at least 2, not 1"),
        ({"acc_bits": 15}, "acc_bits must be between 16 and 20, not 15"),
        ({"current_bits": 16}, "current_bits must be between 17"),
        ({"words": 0}, "words must be a positive integer, not 0"),
    ],
)
def test_sizes_that_make_no_sense(size, message):
    with pytest.raises(SaformerError, match=message):
        SerialConfig(**size)


def test_a_file_says_that_it_is_for_the_serial_accelerator(tmp_path):
    path = tmp_path / "half.toml"
    path.write_text('accelerator = "serial"\nlanes = 8\nwords = 8\n')
    assert load_serial("serial") == SERIAL["serial"]
    assert load_serial(str(path)) == replace(SERIAL["serial"], name="half", lanes=8, words=8)
    path.write_text('accelerator = "serial"\nlane = 8\n')
    with pytest.raises(SaformerError, match="unknown key 'lane'"):
        load_serial(str(path))
    path.write_text("lanes = 8\n")
    assert load_serial(str(path)) is None
    assert load_serial("default") is None
