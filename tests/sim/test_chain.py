"""Feed-forward networks from NIR files on the simulated accelerator: bit-exact, or refused by the name of the node."""

import dataclasses

import nir
import numpy as np
import pytest
import torch

from golden.errors import SaformerError
from golden.feedforward.integer import quantise_network
from golden.feedforward.nir import import_graph
from hw.compile.chain import Chain
from hw.compile.lowering import lower_chain
from hw.config import HardwareConfig
from sim.chain import cosim_chain
from sim.simulate import Simulator
from tests.golden.feedforward.graphs import affine, chain, convolution, example, neurons

DT = 1e-4
CONFIG = HardwareConfig(
    name="width-2",
    lanes=16,
    timesteps=2,
    passes=8,
    bus_bytes=4,
    word_channels=16,
    weight_depth=1024,
    spike_depth=16384,
)


@pytest.fixture(scope="module")
def simulator():
    """An accelerator of two timesteps in parallel and up to eight passes."""
    with Simulator(config=CONFIG, stall=0.1, seed=5) as running:
        yield running


def pool(side, *, mean=False):
    """A pool over squares side by side."""
    kind = nir.AvgPool2d if mean else nir.SumPool2d
    sides = {"kernel_size": np.array((side, side)), "stride": np.array((side, side))}
    return kind(**sides, padding=np.array((0, 0)))


def flatten(*shape):
    """A whole map as features."""
    return nir.Flatten({"input": np.array(shape)}, start_dim=0)


def generator(seed):
    """A generator of weights."""
    return np.random.default_rng(seed)


GRAPHS = {
    "convolutions, a pool of currents, matrices": example(),
    "a potential to leak towards": example(v_leak=8.0, r=2.0),
    "groups, no pool, channels that fill no beat": chain(
        (2, 6, 10),
        convolution(generator(1), 6, 2, groups=2),
        neurons((6, 6, 10), threshold=20.0),
        convolution(generator(2), 5, 6, kernel=1, padding=0),
        neurons((5, 6, 10), threshold=20.0),
    ),
    "a pool of spikes before a matrix": chain(
        (1, 8, 8),
        convolution(generator(3), 5, 1),
        neurons((5, 8, 8), threshold=15.0),
        pool(4, mean=True),
        flatten(5, 2, 2),
        affine(generator(4), 20, 20),
        neurons((20,), threshold=3.0),
        affine(generator(5), 3, 20),
    ),
    "matrices from frames on": chain(
        (2, 5, 5),
        flatten(2, 5, 5),
        affine(generator(6), 33, 50),
        neurons((33,), threshold=30.0),
        affine(generator(7), 10, 33, bias=False),
    ),
    "features": chain((40,), affine(generator(8), 18, 40), neurons((18,), threshold=25.0)),
    "a single matrix": chain((12,), affine(generator(9), 4, 12)),
    "more channels than lanes": chain(
        (3, 4, 4),
        convolution(generator(10), 40, 3),
        pool(2),
        neurons((40, 2, 2), threshold=70.0),
        flatten(40, 2, 2),
        affine(generator(11), 17, 160),
    ),
}


def recordings(shape, *, timesteps, count=2, rate=0.3, seed=1):
    """Random binary frames."""
    draws = torch.rand((count, timesteps, *shape), generator=torch.Generator().manual_seed(seed))
    return (draws < rate).to(torch.uint8)


@pytest.mark.parametrize("timesteps", [1, 4, 7])
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())
def test_bit_exact(graph, timesteps, simulator):
    network = quantise_network(import_graph(graph), dt=DT)
    frames = recordings(network.network.input_shape, timesteps=timesteps)
    result = cosim_chain(network, frames, name="chain", config=CONFIG, engine=simulator)
    assert [str(mismatch) for each in result.mismatches for mismatch in each] == []
    assert result.bit_exact
    assert result.events > 0
    assert len(result.cycles) == len(result.predictions) == 2


def test_nodes_may_have_the_names_of_other_things(simulator):
    names = ("frames", "logits", "load", "pixels", "n0 (spikes)", "x.counts", "pool", "n0", "mask")
    graph = example()
    renamed = dict(zip(graph.nodes, ("in", *names, "out"), strict=True))
    nodes = {renamed[name]: node for name, node in graph.nodes.items()}
    edges = [(renamed[source], renamed[target]) for source, target in graph.edges]
    network = quantise_network(import_graph(nir.NIRGraph(nodes, edges, type_check=False)), dt=DT)
    result = cosim_chain(network, recordings((2, 8, 8), timesteps=3), name="chain", config=CONFIG, engine=simulator)
    assert [str(mismatch) for each in result.mismatches for mismatch in each] == []


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_nothing_and_everything_fires(rate, simulator):
    network = quantise_network(import_graph(example()), dt=DT)
    frames = recordings((2, 8, 8), timesteps=3, count=1, rate=rate)
    assert cosim_chain(network, frames, name="chain", config=CONFIG, engine=simulator).bit_exact


def test_a_wrong_threshold_is_found(simulator):
    """The program of a network with one other threshold: the comparison says in which layer."""
    network = quantise_network(import_graph(example()), dt=DT)
    weights, fires, *others = network.nodes
    wrong = dataclasses.replace(fires, threshold=fires.threshold + 40)

    class Faulty(type(network)):
        """Computes with its nodes, and is lowered with others."""

        def run(self, frames):
            return network.run(frames)

    faulty = Faulty(network=network.network, nodes=(weights, wrong, *others))
    result = cosim_chain(faulty, recordings((2, 8, 8), timesteps=4), name="chain", config=CONFIG, engine=simulator)
    assert not result.bit_exact
    assert str(result.mismatches[0][0]).startswith("n0: spikes")


BIG = convolution(generator(1), 6, 2)
AT = neurons((6, 8, 8), threshold=20.0)
REFUSED = {
    "soft reset": (example(metadata={"reset": "soft"}), "node 'n1': keeps 0.5 of its membrane, with a soft reset"),
    "if": (example(kind="if"), "node 'n1': keeps 1 of its membrane, with a hard reset"),
    "another decay": (example(keep=0.75), "node 'n1': keeps 0.75 of its membrane"),
    "stride": (
        chain((2, 8, 8), convolution(generator(1), 6, 2, stride=2), neurons((6, 4, 4))),
        "node 'n0': has a kernel of 3x3, padding 1 and stride 2",
    ),
    "kernel": (
        chain((2, 8, 8), convolution(generator(1), 6, 2, kernel=5, padding=2), neurons((6, 8, 8))),
        "node 'n0': has a kernel of 5x5, padding 2 and stride 1",
    ),
    "padding": (
        chain((2, 8, 8), convolution(generator(1), 6, 2, padding=0), neurons((6, 6, 6))),
        "node 'n0': has a kernel of 3x3, padding 0 and stride 1",
    ),
    "sums of spikes into a convolution": (
        chain((2, 8, 8), BIG, AT, pool(2), convolution(generator(2), 4, 6), neurons((4, 4, 4))),
        "node 'n3': reads sums of spikes",
    ),
    "windows that overlap": (
        chain(
            (2, 8, 8),
            BIG,
            nir.SumPool2d(kernel_size=np.array((2, 2)), stride=np.array((1, 1)), padding=np.array((0, 0))),
            neurons((6, 7, 7)),
        ),
        "node 'n1': has windows of 2x2 at a distance of 1",
    ),
    "windows that do not fill the map": (
        chain((2, 8, 8), BIG, pool(3), neurons((6, 2, 2))),
        "node 'n1': has windows of 3x3",
    ),
    "currents of a map": (chain((2, 8, 8), BIG), "node 'n0': puts out the currents of a map"),
    "a pool at the end": (chain((2, 8, 8), BIG, AT, pool(2)), "node 'n2': the accelerator computes layers"),
    "a flatten before the neurons": (
        chain((2, 8, 8), BIG, flatten(6, 8, 8), neurons((384,))),
        "node 'n2': the accelerator computes layers",
    ),
}


@pytest.mark.parametrize(("graph", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_the_accelerator_lacks_is_refused_by_name(graph, message):
    network = quantise_network(import_graph(graph), dt=DT)
    with pytest.raises(SaformerError) as error:
        lower_chain(Chain(network, name="chain", timesteps=2, config=CONFIG))
    assert message in str(error.value)


def test_what_does_not_fit_is_refused():
    network = quantise_network(import_graph(example()), dt=DT)
    with pytest.raises(SaformerError, match="the model needs 9 passes of 2 timesteps, the hardware has 8"):
        lower_chain(Chain(network, name="chain", timesteps=17, config=CONFIG))
    small = dataclasses.replace(CONFIG, weight_depth=64)
    with pytest.raises(SaformerError, match="raise weight_depth to 128"):
        lower_chain(Chain(network, name="chain", timesteps=2, config=small))
    with pytest.raises(SaformerError, match="at least one recording"):
        cosim_chain(network, recordings((2, 8, 8), timesteps=2, count=0), name="chain", config=CONFIG)
