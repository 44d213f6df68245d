"""Hardware configurations: what they refuse, and how they are loaded."""

import re

import pytest

from golden.errors import SaformerError
from hw.config import HARDWARE, HardwareConfig, load_hardware

SIZES = [name for name in HardwareConfig.__dataclass_fields__ if name != "name"]


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", [0, -4, 8.0, "8", True, None])
def test_sizes_are_positive_integers(name, value):
    message = f"hardware: {name} must be a positive integer, not {value!r}"
    with pytest.raises(SaformerError, match=f"^{re.escape(message)}$"):
        HardwareConfig(**{name: value})


@pytest.mark.parametrize("name", [name for name in SIZES if name.endswith("_depth")])
def test_memories_have_at_least_two_entries(name):
    with pytest.raises(SaformerError, match=f"^hardware: {name} must be at least 2, not 1$"):
        HardwareConfig(**{name: 1})


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"name": 3}, "name must be a string, not 3"),
        ({"lanes": 62}, "lanes (62) must be a multiple of beat_channels (4)"),
        ({"word_channels": 14}, "word_channels (14) must be beat_channels (4) times a power of two"),
        ({"word_channels": 24}, "word_channels (24) must be beat_channels (4) times a power of two"),
        ({"word_channels": 2}, "word_channels (2) must be beat_channels (4) times a power of two"),
        ({"timesteps": 17}, "timesteps must be at most 16, not 17"),
        ({"passes": 5}, "5 passes of 4 timesteps are more than 16 timesteps need: reduce passes to 4"),
        ({"timesteps": 3, "passes": 7}, "7 passes of 3 timesteps are more than 16 timesteps need: reduce passes to 6"),
        ({"lanes": 1028}, "lanes must be a multiple of 4 and at most 1024, not 1028"),
        ({"lanes": 42, "beat_channels": 2}, "lanes must be a multiple of 4 and at most 1024, not 42"),
        (
            {"beat_channels": 12, "lanes": 48, "word_channels": 24},
            "beat_channels must be a power of two, not 12",
        ),
        ({"weight_depth": 3072}, "weight_depth must be a power of two, not 3072"),
        ({"bus_bytes": 12}, "bus_bytes must be a power of two, not 12"),
        ({"bus_bytes": 2}, "bus_bytes must be between 4 and 32, not 2"),
        ({"lanes": 384, "bus_bytes": 256}, "lanes (384) must be a multiple of bus_bytes (256)"),
        ({"lanes": 64, "bus_bytes": 64}, "bus_bytes must be between 4 and 32, not 64"),
        ({"burst_words": 257}, "burst_words must be at most 256, not 257"),
        ({"outstanding": 65}, "outstanding must be at most 64, not 65"),
        ({"param_depth": 100}, "param_depth must be a power of two, not 100"),
        ({"tap_depth": 96}, "tap_depth must be a power of two, not 96"),
        ({"lanes": 520, "beat_channels": 2}, "lanes (520) must be at most 256 times beat_channels (2)"),
        ({"current_bits": 16}, "current_bits must be between 17 and 32, not 16"),
        ({"current_bits": 33}, "current_bits must be between 17 and 32, not 33"),
        ({"acc_bits": 8}, "acc_bits must be between 9 and current_bits (24), not 8"),
        ({"acc_bits": 25}, "acc_bits must be between 9 and current_bits (24), not 25"),
        ({"fifo_depth": 5}, "fifo_depth must be at least 6, not 5"),
    ],
)
def test_sizes_that_make_no_sense(sizes, message):
    with pytest.raises(SaformerError, match=f"^{re.escape(f'hardware: {message}')}$"):
        HardwareConfig(**sizes)


@pytest.mark.parametrize(
    "sizes",
    [
        {"current_bits": 17, "acc_bits": 9, "fifo_depth": 6, "timesteps": 1},
        {"current_bits": 32, "acc_bits": 32, "timesteps": 16, "lanes": 1024, "beat_channels": 8},
        {"lanes": 8, "word_channels": 8, "query_depth": 2},
        {"lanes": 1020, "beat_channels": 4, "bus_bytes": 4},
        {"timesteps": 3, "passes": 6, "beat_channels": 2},
    ],
)
def test_smallest_and_largest_sizes(sizes):
    config = HardwareConfig(**sizes)
    assert {name: getattr(config, name) for name in sizes} == sizes


@pytest.mark.parametrize(("timesteps", "chunks"), [(1, 8), (2, 4), (3, 3), (4, 2), (5, 2), (7, 2), (8, 1), (16, 1)])
def test_patterns_of_a_pixel(timesteps, chunks):
    assert HardwareConfig(timesteps=timesteps).chunks == chunks


def test_beats_of_groups_and_words():
    config = HardwareConfig(lanes=96, beat_channels=8, word_channels=64, bus_bytes=32)
    assert (config.group_beats, config.word_beats, config.row_words) == (12, 8, 3)


def test_named_configurations():
    names = {
        "small",
        "narrow",
        "default-32",
        "default",
        "little",
        "wide",
        "paper-16",
        "paper-32",
        "paper",
        "paper-128",
        "events",
    }
    assert set(HARDWARE) == names
    for name, config in HARDWARE.items():
        assert load_hardware(name) is config
        assert config.name == name


def test_file_gives_the_fields_it_names(tmp_path):
    path = tmp_path / "board.toml"
    path.write_text("lanes = 128\ntimesteps = 8\n")
    assert load_hardware(str(path)) == HardwareConfig(name="board", lanes=128, timesteps=8)
    path.write_text('name = "other"\n')
    assert load_hardware(str(path)) == HardwareConfig(name="other")


def test_unknown_configuration(tmp_path):
    message = f"no hardware configuration 'huge': use one of {', '.join(HARDWARE)}, or a TOML file"
    with pytest.raises(SaformerError, match=f"^{re.escape(message)}$"):
        load_hardware("huge")
    with pytest.raises(SaformerError, match=r"^no hardware configuration"):
        load_hardware(str(tmp_path))


@pytest.mark.parametrize("content", [b"lanes = ", b"name = '\xff'", b"lanes = 4\nlanes = 8\n"])
def test_file_that_is_no_toml(tmp_path, content):
    path = tmp_path / "board.toml"
    path.write_bytes(content)
    with pytest.raises(SaformerError, match=r"board\.toml is not a readable TOML file: .+$"):
        load_hardware(str(path))


def test_unknown_key(tmp_path):
    path = tmp_path / "board.toml"
    path.write_text("lane = 128\n")
    with pytest.raises(SaformerError, match=r"board\.toml: unknown key 'lane'; the keys are name, lanes, timesteps, "):
        load_hardware(str(path))


def test_wrong_value_in_a_file(tmp_path):
    path = tmp_path / "board.toml"
    path.write_text("lanes = 128.0\n")
    with pytest.raises(SaformerError, match=r"^hardware: lanes must be a positive integer, not 128\.0$"):
        load_hardware(str(path))
