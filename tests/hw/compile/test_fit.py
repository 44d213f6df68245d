"""Hardware made to measure."""

import dataclasses

import pytest

from golden.calibrate import init_model
from golden.config import Input, ModelConfig
from golden.errors import SaformerError
from hw.compile.fit import fit
from hw.compile.lowering import lower
from hw.config import HardwareConfig

BASE = HardwareConfig(lanes=16, bus_bytes=4, beat_channels=4, word_channels=16, weight_depth=2048)
SMALL = init_model(ModelConfig(name="small", dim=16, depth=1, image_size=16), seed=1)
FRAMES = init_model(
    ModelConfig(name="frames", dim=32, depth=2, image_size=16, input=Input.EVENTS, in_channels=2, timesteps=7), seed=1
)


@pytest.mark.parametrize("models", [[SMALL], [FRAMES], [SMALL, FRAMES]], ids=["small", "frames", "both"])
@pytest.mark.parametrize("pooled", [True, False])
def test_it_takes_the_models_and_no_memory_could_be_smaller(models, pooled):
    config = fit(models, BASE, pooled_query=pooled)
    lowered = [lower(model, config, pooled_query=pooled) for model in models]
    for name in {name for each in lowered for name in each.needed} - {"weight_depth"}:
        assert getattr(config, name) == max(each.needed.get(name, 0) for each in lowered)
    for parameter in ("spike_depth", "stream_depth", "acc_bits"):
        less = dataclasses.replace(config, **{parameter: getattr(config, parameter) - 1})
        with pytest.raises(SaformerError, match=f"raise {parameter}"):
            _lower_all(models, less, pooled)


def _lower_all(models, config, pooled):
    for model in models:
        lower(model, config, pooled_query=pooled)


def test_the_weight_buffer_grows_and_does_not_shrink():
    assert fit([SMALL], BASE).weight_depth == 2048
    assert fit([SMALL], dataclasses.replace(BASE, weight_depth=16)).weight_depth == 256


def test_few_weight_bits_need_narrow_accumulators():
    narrow = init_model(dataclasses.replace(SMALL.config, weight_bits=3), seed=1)
    assert fit([narrow], BASE).acc_bits < fit([SMALL], BASE).acc_bits


def test_what_no_size_can_help_is_an_error():
    soft = init_model(dataclasses.replace(SMALL.config, reset="soft"), seed=1)
    with pytest.raises(SaformerError, match="reset = hard only"):
        fit([soft], BASE)
