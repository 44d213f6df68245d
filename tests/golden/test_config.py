"""The model configuration: named ones, files, and messages for what is wrong."""

import dataclasses

import pytest

from golden.config import CONFIGS, Aggregate, Head, Input, ModelConfig, Reset, load_config
from golden.errors import SaformerError


def test_named_configurations():
    assert set(CONFIGS) == {"tiny", "micro", "mini", "4-384", "2-512", "events", "2-256"}
    tiny = load_config("tiny")
    assert (tiny.tokens, tiny.window_tokens, tiny.stage_channels) == (64, 16, (8, 16, 32, 64, 64))
    assert [tiny.stage_side(stage) for stage in range(1, 6)] == [32, 32, 32, 16, 8]
    dvs = load_config("2-256")
    assert (dvs.input, dvs.timesteps, dvs.in_channels, dvs.tokens) == (Input.EVENTS, 16, 2, 256)
    assert [config.name for config in CONFIGS.values() if config.input is Input.EVENTS] == ["events", "2-256"]


def test_toml(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('dim = 48\nwindows = 1\naggregate = "spike"\nhead = "rate"\nreset = "soft"\npool_stages = [2, 3]\n')
    config = load_config(path)
    assert config == ModelConfig(
        name="mine", dim=48, windows=1, aggregate=Aggregate.SPIKE, head=Head.RATE, reset=Reset.SOFT, pool_stages=(2, 3)
    )
    assert ModelConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 20}, "dim must be a multiple of 8 .*, not 20"),
        ({"dim": 0}, "dim must be a positive integer, not 0"),
        ({"depth": 1.5}, "depth must be a positive integer, not 1.5"),
        ({"timesteps": True}, "timesteps must be a positive integer, not True"),
        ({"name": ""}, "name must be a non-empty string"),
        ({"pool_kernel": 4}, "pool_kernel must be 2 or 3, not 4"),
        ({"weight_bits": 9}, "weight_bits must be 2 to 8, not 9"),
        ({"pool_stages": (4, 3)}, "pool_stages must be distinct, ascending"),
        ({"pool_stages": (1, 3)}, "pool_stages must be .* among 2, 3 and 4"),
        ({"pool_stages": 3}, "pool_stages must be a list of integers, not 3"),
        ({"image_size": 30}, r"image_size 30 cannot be halved 2 times \(pool_stages\); use a multiple of 4"),
        ({"windows": 2}, "windows must be p \\* p with p dividing the token grid's side 8, not 2"),
        ({"windows": 9}, "windows must be p"),
        ({"aggregate": "both"}, "aggregate must be one of current, spike, not 'both'"),
        ({"input": "video"}, "input must be one of pixels, events, not 'video'"),
        ({"head": 1}, "head must be one of neuron, rate, not 1"),
        ({"reset": None}, "reset must be one of hard, soft, not None"),
        ({"mix_neuron": 1}, "mix_neuron must be true or false, not 1"),
        ({"threshold": 0}, "threshold must be a number above 0"),
        ({"threshold": "1"}, "threshold must be a number above 0"),
        ({"attention_threshold": 0.51}, "attention_threshold must be a multiple of 1/16, not 0.51"),
        ({"aggregate_threshold": 0.3}, "aggregate_threshold must be a multiple of 1/16, not 0.3"),
        ({"aggregate_threshold": 1.5}, "aggregate_threshold must be at most 1, not 1.5"),
        ({"mix_threshold": 2.0}, "mix_threshold must be at most 1, not 2.0"),
        ({"decay": 1.0}, "decay must be a number from 0 to below 1, not 1.0"),
        ({"decay": 0.3}, "decay must be a multiple of 1/16, not 0.3"),
        ({"levels": 200}, "levels must be at most 127, not 200"),
        ({"neuron": "relu"}, "neuron must be one of lif, if, ternary, relu-count, pmsm, not 'relu'"),
    ],
)
def test_bad_values(changes, message):
    with pytest.raises(SaformerError, match=message):
        dataclasses.replace(CONFIGS["tiny"], **changes)


def test_bad_files(tmp_path):
    with pytest.raises(SaformerError, match="no configuration 'huge': name one of tiny, "):
        load_config("huge")
    path = tmp_path / "bad.toml"
    path.write_text("dim = = 3")
    with pytest.raises(SaformerError, match=r"bad\.toml is not a readable TOML file"):
        load_config(path)
    path.write_bytes(b"name = '\xff'")
    with pytest.raises(SaformerError, match=r"bad\.toml is not a readable TOML file"):
        load_config(path)
    path.write_text("colour = 3")
    with pytest.raises(SaformerError, match="unknown model setting 'colour'; the settings are name, input,"):
        load_config(path)
    with pytest.raises(SaformerError, match="has no name"):
        ModelConfig.from_dict({"dim": 8})
