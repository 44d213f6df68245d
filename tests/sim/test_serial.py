"""Whole networks on the serial accelerator against the integer model, and faults that the comparison must find."""

from dataclasses import replace

import numpy as np
import pytest

from golden.calibrate import init_model
from golden.config import ModelConfig
from golden.data import fit_images, load_bundled
from golden.errors import SaformerError
from hw.compile.serial import lower_serial
from hw.serial.config import SERIAL, SerialConfig
from hw.serial.program import Program
from sim.serial import SerialSimulator, cosim_serial

HARDWARE = {
    "16 lanes": SERIAL["serial"],
    "8 lanes": SerialConfig(lanes=8, words=8, stream_words=8, weight_depth=1024),
}
MICRO = {"dim": 24, "depth": 1, "image_size": 16}
SHAPES = {
    "micro": {},
    "two blocks": {"dim": 32, "depth": 2},
    "one window": {"dim": 32, "windows": 1, "aggregate_threshold": 0.1875},
    "one timestep, gray, few channels": {"dim": 8, "classes": 7, "timesteps": 1, "in_channels": 1},
    "three timesteps, no aggregation": {"dim": 16, "timesteps": 3, "windows": 16},
    "four channels of an image, five words of hidden": {"dim": 40, "timesteps": 2, "mlp_ratio": 2, "in_channels": 4},
    "small image, one pool": {"image_size": 8, "pool_stages": (4,)},
    "no pool": {"image_size": 8, "pool_stages": ()},
    "pools after 2, 3 and 4": {"pool_stages": (2, 3, 4)},
    "one token": {"image_size": 4, "windows": 1},
    "no depthwise convolution": {"dwc": False},
}


def small(**fields):
    return init_model(ModelConfig(name="small", **MICRO | fields), seed=1)


def pictures(model, count=1):
    config = model.config
    return fit_images(load_bundled().images[:count], channels=config.in_channels, size=config.image_size)


@pytest.fixture(scope="module")
def micro():
    return small()


@pytest.mark.parametrize("hardware", HARDWARE)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_bit_exact(shape, hardware):
    model = small(**SHAPES[shape])
    (run,) = cosim_serial(model, pictures(model), config=HARDWARE[hardware])
    assert run.mismatches == ()


def test_one_image_after_the_other_with_stalls(micro):
    config = SERIAL["serial"]
    simulator = SerialSimulator(lower_serial(micro, config), stall=0.9, seed=3)
    runs = cosim_serial(micro, pictures(micro, 3), config=config, simulator=simulator)
    assert [run.mismatches for run in runs] == [()] * 3


@pytest.mark.parametrize("pixel", [0, 255])
def test_extreme_images(micro, pixel):
    images = pictures(micro).clone().fill_(pixel)
    (run,) = cosim_serial(micro, images, config=SERIAL["serial"])
    assert run.mismatches == ()


def test_a_reset_in_the_middle_and_another_image(micro):
    config = SERIAL["serial"]
    lowered = lower_serial(micro, config)
    simulator = SerialSimulator(lowered)
    for cycles in (3, 700, 20_000):
        simulator.native.send("pixels", np.full(768, 200))
        simulator.native.pulse("start")
        simulator.native.step(cycles)
        simulator.native.reset()
    (run,) = cosim_serial(micro, pictures(micro), config=config, simulator=simulator)
    assert run.mismatches == ()


def altered(lowered, number, **changes):
    """The same program with another layer."""
    layers = list(lowered.program.layers)
    layers[number] = replace(layers[number], **changes)
    return replace(lowered, program=Program(config=lowered.config, layers=tuple(layers)))


def faults(lowered):
    """Programs that are wrong, and the layer that it shows in."""
    names = [layer.name for layer in lowered.program.layers]
    conv3, mix, fc2 = (lowered.program.layers[names.index(name)] for name in ("conv3", "blocks.0.mix", "blocks.0.fc2"))
    weights = conv3.weights.copy()
    weights[0, :, 3] ^= 16
    yield names.index("conv3"), {"weights": weights}
    parameters = conv3.parameters.copy()
    parameters[0, 0, 5, 1] -= 40
    yield names.index("conv3"), {"parameters": parameters}
    yield names.index("blocks.0.mix"), {"fields": mix.fields | {"corner": 0}}
    shifts = fc2.parameters.copy()
    shifts[..., 2] ^= 1
    yield names.index("blocks.0.fc2"), {"parameters": shifts}


@pytest.mark.parametrize("fault", range(4))
def test_a_wrong_program_is_seen(micro, fault):
    lowered = lower_serial(micro, SERIAL["serial"])
    number, changes = list(faults(lowered))[fault]
    simulator = SerialSimulator(altered(lowered, number, **changes))
    (run,) = cosim_serial(micro, pictures(micro), config=SERIAL["serial"], simulator=simulator)
    assert run.mismatches[0].startswith(lowered.plans[number].name)


REFUSED = {
    "events": ({"input": "events", "in_channels": 2}, {}, "takes pixels only"),
    "soft reset": ({"reset": "soft"}, {}, "reset = hard only"),
    "timesteps": ({"timesteps": 5}, {}, "5 timesteps, the serial accelerator 4"),
    "side": ({"image_size": 32}, {}, "32 pixels on a side, the serial accelerator 16"),
    "tokens": ({"image_size": 16, "pool_stages": ()}, {}, "16 tokens on a side"),
    "stream": ({"dim": 72}, {}, "72 channels in the residual stream, the serial accelerator 64"),
    "rows": ({"dim": 64}, {}, "conv5: 576 rows of weights in a group, the hardware has 512"),
    "image": ({"in_channels": 5}, {}, "5 channels of an image"),
    "store": ({}, {"store_depth": 4096}, "words, the store 4096"),
    "accumulators": ({}, {"acc_bits": 16, "current_bits": 17}, "raise current_bits"),
    "windows": ({"image_size": 12, "pool_stages": (3,), "windows": 4}, {}, "wants a power of two"),
    "words": ({}, {"lanes": 8, "words": 2, "stream_words": 4}, "words a position, the hardware has"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_does_not_fit_is_refused(reason):
    fields, sizes, message = REFUSED[reason]
    with pytest.raises(SaformerError, match=message):
        lower_serial(small(**fields), replace(SERIAL["serial"], **sizes))
