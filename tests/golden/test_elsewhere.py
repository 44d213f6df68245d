"""Neurons, a block and the quantiser against code that nobody here wrote: SpikingJelly, snnTorch and torch itself.

Their numbers are doubles. With integer currents and thresholds and a decay of few bits every one of them is exact.
"""

import dataclasses

import pytest
import snntorch
import torch
from spikingjelly.activation_based import neuron as jelly

from golden.calibrate import init_model
from golden.config import ModelConfig, Reset
from golden.integer import IntegerModel, run_block
from golden.model import SAFormer
from golden.neurons.exact import run_neuron
from golden.neurons.registry import layer_neuron
from golden.quantise import QuantisedLayer, quantise

TRAINS = 20_000
THRESHOLD = 24
# Half of the membranes of such currents come within a few units of the threshold.
LOW, HIGH = -60, 90
CHOICES = {
    "tau 2": {},
    "tau 4": {"decay": 0.75, "timesteps": 8},
    "16 steps": {"timesteps": 16},
    "if": {"neuron": "if", "timesteps": 16},
}


def trains(timesteps, *, high=HIGH):
    generator = torch.Generator().manual_seed(timesteps)
    return torch.randint(LOW, high, (timesteps, TRAINS), generator=generator, dtype=torch.int32)


def golden(config, x):
    return run_neuron(layer_neuron(config), x, THRESHOLD, reset=config.reset)


@pytest.mark.parametrize("reset", Reset)
@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_spikingjelly(choice, reset):
    config = ModelConfig(name="any", reset=reset, **choice)
    settings = {"v_threshold": float(THRESHOLD), "v_reset": 0.0 if reset is Reset.HARD else None, "step_mode": "m"}
    leaky = {} if config.neuron == "if" else {"tau": 1 / (1 - config.decay)}
    node = (jelly.LIFNode if leaky else jelly.IFNode)(**leaky, **settings)
    x = trains(config.timesteps)
    expected = node(x.double())
    assert 0.05 < float(expected.mean()) < 0.95
    assert torch.equal(golden(config, x).double(), expected)


@pytest.mark.parametrize("reset", Reset)
def test_spikingjelly_fires_at_the_threshold(reset):
    config = ModelConfig(name="any", reset=reset, timesteps=1)
    x = torch.tensor([[2 * THRESHOLD - 1, 2 * THRESHOLD]], dtype=torch.int32)
    node = jelly.LIFNode(tau=2.0, v_threshold=float(THRESHOLD), step_mode="m")
    assert golden(config, x).tolist() == node(x.double()).int().tolist() == [[0, 1]]


@pytest.mark.parametrize("reset", Reset)
@pytest.mark.parametrize("decay", [0.5, 0.75])
def test_snntorch(decay, reset):
    """Its neuron fires above the threshold, not at it, and does not scale its current.

    Currents are small enough for no membrane to be above the threshold after a soft reset: there it looks again before
    it adds the next current.
    """
    config = ModelConfig(name="any", reset=reset, decay=decay, timesteps=8)
    x = trains(config.timesteps, high=2 * THRESHOLD)
    mechanism = {Reset.HARD: "zero", Reset.SOFT: "subtract"}[reset]
    # Membranes are multiples of 2**-16: nothing lies between this threshold and the whole one.
    node = snntorch.Leaky(beta=decay, threshold=THRESHOLD - 2**-17, reset_mechanism=mechanism, reset_delay=False)
    node.double()
    node.beta, node.threshold = node.beta.double(), torch.tensor(THRESHOLD - 2**-17, dtype=torch.float64)
    v, spikes = torch.zeros(TRAINS, dtype=torch.float64), []
    for current in x.double():
        fired, v = node(current * (1 - decay), v)
        # It takes away its own threshold, which is a little less than the whole one.
        v = v - fired * 2**-17 if reset is Reset.SOFT else v
        spikes.append(fired)
    assert torch.equal(golden(config, x).double(), torch.stack(spikes))
    strict = snntorch.Leaky(beta=0.5, threshold=float(THRESHOLD), reset_delay=False)
    fired, _ = strict(torch.tensor([float(THRESHOLD)]), torch.zeros(1))
    assert fired.tolist() == [0.0]


class JellyBlock:
    """An encoder block of SSA with SpikingJelly's neurons, from the integers of a model with one threshold."""

    def __init__(self, model, name):
        self.model, self.name, self.heads = model, name, model.config.heads

    def fire(self, x, threshold):
        return jelly.LIFNode(tau=2.0, v_threshold=float(threshold), step_mode="m")(x)

    def project(self, x, part):
        layer = self.model.layer(f"{self.name}.{part}")
        return torch.einsum("oi,tbihw->tbohw", layer.weight.double(), x) + layer.bias.double().reshape(-1, 1, 1)

    def write(self, stream, x, part):
        shift = self.model.layer(f"{self.name}.{part}").shift.double().reshape(-1, 1, 1)
        return (stream + self.project(x, part) * 2**shift).clamp(-32768, 32767)

    def __call__(self, stream, threshold):
        spikes = self.fire(stream, threshold)
        q, k, v = (
            self.fire(self.project(spikes, part), threshold).flatten(-2).unflatten(2, (self.heads, -1))
            for part in ("q", "k", "v")
        )
        scores = torch.einsum("tbhdi,tbhdj->tbhij", q, k)
        mixed = 0.125 * torch.einsum("tbhij,tbhdj->tbhdi", scores, v)
        mixed = self.fire(mixed, 0.5).flatten(2, 3).unflatten(-1, stream.shape[-2:])
        stream = self.write(stream, mixed, "proj")
        hidden = self.fire(self.project(self.fire(stream, threshold), "fc1"), threshold)
        return self.write(stream, hidden, "fc2")


def test_a_block_of_spikingjelly(small):
    model = init_model(dataclasses.replace(small, attention="ssa", heads=2), seed=1)
    threshold = 30
    tensors = {
        name: torch.full_like(tensor, threshold) if name.endswith("threshold") else tensor
        for name, tensor in model.tensors.items()
    }
    model = IntegerModel(config=model.config, tensors=tensors)
    generator = torch.Generator().manual_seed(2)
    stream = torch.randint(-60, 200, (4, 3, 16, 4, 4), generator=generator, dtype=torch.int32)
    trace = run_block(model, 0, stream)
    rates = {part: float(trace.values[f"blocks.0.{part}"].float().mean()) for part in ("q", "k", "v", "mix", "fc1")}
    assert all(0.02 < rate < 0.98 for rate in rates.values()), rates
    expected = JellyBlock(model, "blocks.0")(stream.double(), threshold)
    assert torch.equal(trace.values["blocks.0.stream.fc2"].double(), expected)


def test_weights_are_rounded_as_torch_quantises(small):
    torch.manual_seed(4)
    model = quantise(SAFormer(small))
    layers = [layer for layer in model.modules() if isinstance(layer, QuantisedLayer)]
    assert len(layers) == 11
    for layer in layers:
        # Ties too: some weights are moved to the middle between two integers, exactly, for units are powers of two.
        with torch.no_grad():
            layer.units.copy_(torch.exp2(layer.units.log2().floor()))
            middle = (torch.floor(layer.weight * layer.unit.unsqueeze(-1)) + 0.5) / layer.unit.unsqueeze(-1)
            layer.weight[:, ::2] = middle[:, ::2]
        weight, _ = layer.integers()
        scales, zeros = 1 / layer.units, torch.zeros(len(layer.units), dtype=torch.int32)
        expected = torch.fake_quantize_per_channel_affine(layer.weight, scales, zeros, 0, -127, 127)
        assert torch.equal(weight, (expected / scales.reshape(-1, 1, 1, 1)).round())
