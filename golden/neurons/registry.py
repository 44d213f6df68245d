"""The neurons that a configuration asks for."""

from fractions import Fraction

from golden.config import ModelConfig, NeuronKind
from golden.errors import SaformerError
from golden.neurons.dynamics import Dynamics
from golden.neurons.exact import EXACT_BITS, membrane_bits
from golden.neurons.kinds import Binary, Levels, Ternary

CURRENT_BITS = 28
"""Width of a current, a bias or a threshold, summed over tokens or not: wider than any network here has them."""


def layer_neuron(config: ModelConfig) -> Dynamics:
    """The neuron whose output a layer with weights reads: after conv1 to conv4, on the stream, in the MLP, the head.

    Raises as `neuron_of`.
    """
    return neuron_of(config.neuron, config)


def attention_neuron(config: ModelConfig) -> Dynamics:
    """The neurons inside an attention, which are binary, because its formulas are of bits. Raises as `neuron_of`."""
    return neuron_of(NeuronKind.IF if config.neuron is NeuronKind.IF else NeuronKind.LIF, config)


def neuron_of(kind: NeuronKind, config: ModelConfig) -> Dynamics:
    """A neuron of some kind, with the decay and the levels of a configuration.

    Raises SaformerError: the membrane needs more bits than are exact, for this decay and so many timesteps.
    """
    keep = Fraction(config.decay)
    leaky, lossless = {"keep": keep, "gain": 1 - keep}, {"keep": Fraction(1), "gain": Fraction(1)}
    kinds = {
        NeuronKind.LIF: Binary(**leaky),
        NeuronKind.IF: Binary(**lossless),
        NeuronKind.TERNARY: Ternary(**leaky, low=-1),
        NeuronKind.RELU_COUNT: Levels(keep=Fraction(0), gain=Fraction(1), high=config.levels),
        NeuronKind.PMSM: Levels(**lossless, low=-config.levels, high=config.levels),
    }
    dynamics = kinds[kind]
    bits = membrane_bits(dynamics, current_bits=CURRENT_BITS, timesteps=config.timesteps)
    if bits > EXACT_BITS:
        raise SaformerError(
            f"an exact membrane of {kind} with decay {config.decay} needs {bits} bits after "
            f"{config.timesteps} timesteps, and {EXACT_BITS} are exact: take fewer timesteps, or a decay of fewer bits"
        )
    return dynamics
