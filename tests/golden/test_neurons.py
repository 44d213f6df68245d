"""Every kind of neuron against exact fractions, its width, and its training form against its integers."""

import dataclasses
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.config import ModelConfig, NeuronKind, Reset
from golden.errors import SaformerError
from golden.neurons.exact import membrane_bits, run_neuron
from golden.neurons.module import Neuron
from golden.neurons.registry import attention_neuron, layer_neuron

CHOICES = {
    "lif": {},
    "lif, slow": {"decay": 0.75},
    "lif, any": {"decay": 0.3125},
    "lif, no memory": {"decay": 0.0},
    "if": {"neuron": "if"},
    "ternary": {"neuron": "ternary"},
    "ternary, fast": {"neuron": "ternary", "decay": 0.25},
    "relu-count": {"neuron": "relu-count", "levels": 3},
    "pmsm": {"neuron": "pmsm", "levels": 2},
}


def config_of(choice, timesteps=4):
    return ModelConfig(name="any", timesteps=timesteps, **CHOICES[choice])


def by_hand(config, currents, threshold):
    """Outputs of the neuron of a configuration, in fractions, from the formulas of docs/arithmetic.md."""
    v, outputs, decay = Fraction(0), [], Fraction(config.decay)
    for x in currents:
        match config.neuron:
            case NeuronKind.LIF | NeuronKind.TERNARY:
                h = decay * v + (1 - decay) * x
            case NeuronKind.RELU_COUNT:
                h = Fraction(x)
            case _:
                h = v + x
        if config.neuron in (NeuronKind.RELU_COUNT, NeuronKind.PMSM):
            low = -config.levels if config.neuron is NeuronKind.PMSM else 0
            out = min(max((h / threshold + Fraction(1, 2)).__floor__(), low), config.levels)
            v = h - out * threshold
        else:
            out = int(h >= threshold)
            if config.neuron is NeuronKind.TERNARY and h <= -threshold:
                out = -1
            v = h if not out else Fraction(0) if config.reset is Reset.HARD else h - out * threshold
        outputs.append(out)
    return outputs


@pytest.mark.parametrize("reset", Reset)
@pytest.mark.parametrize("choice", CHOICES)
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_fractions(choice, reset, data):
    threshold = data.draw(st.integers(1, 60))
    near = st.integers(-2, 2).flatmap(lambda n: st.integers(n * threshold - 2, n * threshold + 2))
    currents = data.draw(st.lists(near | st.integers(-300, 300), min_size=1, max_size=5))
    config = dataclasses.replace(config_of(choice, len(currents)), reset=reset)
    found = run_neuron(layer_neuron(config), torch.tensor(currents, dtype=torch.int32), threshold, reset=reset)
    assert found.tolist() == by_hand(config, currents, threshold)


@pytest.mark.parametrize("reset", Reset)
@pytest.mark.parametrize("choice", CHOICES)
def test_training_computes_the_same_integers(choice, reset):
    config = config_of(choice)
    neuron, generator = layer_neuron(config), torch.Generator().manual_seed(3)
    x = torch.randint(-(2**20), 2**20, (4, 2, 8, 5, 5), generator=generator, dtype=torch.int32)
    thresholds = torch.randint(1, 2**19, (8,), generator=generator)
    module = Neuron(dynamics=neuron, threshold=thresholds, reset=reset, exact=True)
    assert torch.equal(module(x.float()), run_neuron(neuron, x, thresholds.reshape(-1, 1, 1), reset=reset).float())


@pytest.mark.parametrize("choice", CHOICES)
def test_at_the_threshold_it_fires(choice):
    neuron = layer_neuron(config_of(choice, 1))
    # A level is reached half a threshold below it; 528 = 16 * 3 * 11 is a multiple of every share.
    membrane = 528 if neuron.high == 1 else 264
    current = int(membrane / neuron.gain)
    assert current * neuron.gain == membrane
    for x, fires in ((current, 1), (current - 1, 0)):
        assert run_neuron(neuron, torch.tensor([x]), 528, reset=Reset.HARD).tolist() == [fires]


@pytest.mark.parametrize("choice", CHOICES)
def test_the_membrane_is_as_wide_as_it_says(choice):
    neuron, limit, steps = layer_neuron(config_of(choice, 5)), 2**11 - 1, 5
    # The farthest that it gets: currents of one sign, and a threshold that is never reached.
    unit, v = 1 if neuron.floors else 2**neuron.shift, Fraction(0)
    for _ in range(steps):
        v = neuron.keep * v - neuron.gain * limit
    assert abs(v * unit**steps) < 2 ** (membrane_bits(neuron, current_bits=12, timesteps=steps) - 1)


def test_gradients_of_levels_and_signs():
    x = torch.tensor([[-9.0, -1.0, 0.4, 1.0, 9.0]]).reshape(1, 1, 5, 1, 1).requires_grad_()
    for choice, live in (("pmsm", [0, 1, 1, 1, 0]), ("relu-count", [0, 0, 1, 1, 0])):
        neuron = Neuron(dynamics=layer_neuron(config_of(choice, 1)), threshold=1.0, reset=Reset.HARD)
        (gradient,) = torch.autograd.grad(neuron(x).sum(), x)
        assert gradient.flatten().tolist() == live
    ternary = Neuron(dynamics=layer_neuron(config_of("ternary", 1)), threshold=0.5, reset=Reset.HARD)
    (gradient,) = torch.autograd.grad(ternary(x).sum(), x)
    assert gradient.flatten().argmax() in (1, 3)
    assert float(gradient.flatten()[1]) == pytest.approx(float(gradient.flatten()[3]))


def test_inside_an_attention_neurons_are_binary():
    for choice in CHOICES:
        neuron = attention_neuron(config_of(choice))
        assert (neuron.low, neuron.high, neuron.bits) == (0, 1, 1)
    assert [layer_neuron(config_of(choice)).bits for choice in ("lif", "ternary", "relu-count", "pmsm")] == [1, 2, 2, 3]


def test_too_many_bits():
    config = ModelConfig(name="any", timesteps=16, decay=0.3125)
    with pytest.raises(SaformerError, match=r"of lif with decay 0\.3125 needs 98 bits after 16 timesteps, and 53 are"):
        layer_neuron(config)
