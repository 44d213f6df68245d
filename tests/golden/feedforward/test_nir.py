"""NIR: chains are imported, computed and exported again; what cannot be is refused by the name of the node."""

import dataclasses
import math
from fractions import Fraction

import nir
import numpy as np
import pytest
import torch

from golden.config import Reset
from golden.errors import SaformerError
from golden.feedforward.integer import predictions, quantise_network
from golden.feedforward.nir import export_graph, import_graph, inspect, read_graph, write_graph
from golden.feedforward.nodes import Neurons, Pool
from tests.golden.feedforward.graphs import affine, chain, convolution, example, neurons

DT = 1e-4


def frames_for(shape, *, images=2, timesteps=5, rate=0.4, seed=3):
    """Random binary frames."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand((images, timesteps, *shape), generator=generator) < rate).to(torch.uint8)


def by_hand(graph, frames):
    """Spikes and outputs of a graph for one image [T, C, H, W], in exact fractions and plain loops, by node."""
    found = {}
    nodes = [(name, node) for name, node in graph.nodes.items() if not isinstance(node, nir.Input | nir.Output)]
    states = {}
    for frame in frames:
        x = np.array([Fraction(int(value)) for value in frame.flatten()], dtype=object).reshape(frame.shape)
        for name, node in nodes:
            match node:
                case nir.Conv2d():
                    x = _convolve(node, x)
                case nir.Affine() | nir.Linear():
                    bias = node.bias if isinstance(node, nir.Affine) else np.zeros(len(node.weight))
                    x = np.array([_dot(row, x) + Fraction(float(b)) for row, b in zip(node.weight, bias, strict=True)])
                case nir.AvgPool2d() | nir.SumPool2d():
                    x = _pool(node, x)
                case nir.Flatten():
                    x = x.flatten()
                case _:
                    v = states.get(name, np.full(x.shape, Fraction(0), dtype=object))
                    x, states[name] = _fire(node, v, x)
            found.setdefault(name, []).append(x)
    return {name: np.stack(values) for name, values in found.items()}


def _dot(row, x):
    return sum((Fraction(float(weight)) * value for weight, value in zip(row, x, strict=True)), Fraction(0))


def _convolve(node, x):
    outputs, per_group, height, width = node.weight.shape
    (up, left), (down, across) = node.padding, node.stride
    padded = np.full((len(x), x.shape[1] + 2 * up, x.shape[2] + 2 * left), Fraction(0), dtype=object)
    padded[:, up : up + x.shape[1], left : left + x.shape[2]] = x
    rows = (padded.shape[1] - height) // down + 1
    columns = (padded.shape[2] - width) // across + 1
    result = np.empty((outputs, rows, columns), dtype=object)
    for channel in range(outputs):
        first = channel // (outputs // node.groups) * per_group
        for row in range(rows):
            for column in range(columns):
                window = padded[
                    first : first + per_group,
                    row * down : row * down + height,
                    column * across : column * across + width,
                ]
                total = _dot(node.weight[channel].flatten(), window.flatten())
                result[channel, row, column] = total + Fraction(float(node.bias[channel]))
    return result


def _pool(node, x):
    height, width = node.kernel_size
    down, across = node.stride
    rows, columns = (x.shape[1] - height) // down + 1, (x.shape[2] - width) // across + 1
    result = np.empty((len(x), rows, columns), dtype=object)
    for place in np.ndindex(result.shape):
        channel, row, column = place
        window = x[channel, row * down : row * down + height, column * across : column * across + width]
        total = sum(window.flatten(), Fraction(0))
        result[place] = total / int(height * width) if isinstance(node, nir.AvgPool2d) else total
    return result


def _fire(node, v, x):
    fired, after = np.zeros(x.shape, dtype=object), np.empty(x.shape, dtype=object)
    for place in np.ndindex(x.shape):
        threshold, r = Fraction(float(node.v_threshold[place])), Fraction(float(node.r[place]))
        if isinstance(node, nir.IF):
            h = v[place] + r * x[place]
        else:
            keep = 1 - Fraction(DT / float(node.tau[place])).limit_denominator(16)
            h = keep * v[place] + (1 - keep) * (Fraction(float(node.v_leak[place])) + r * x[place])
        fired[place] = int(h >= threshold)
        soft = node.metadata.get("reset") == "soft"
        after[place] = h if not fired[place] else h - threshold if soft else Fraction(0)
    return fired, after


GRAPHS = {
    "lif": example(),
    "if": example(kind="if"),
    "slow": example(keep=0.75),
    "soft": example(metadata={"reset": "soft"}),
    "if, soft": example(kind="if", metadata={"reset": "soft"}),
    "leak towards a potential": example(v_leak=8.0, r=2.0),
    "resistance": example(r=4.0),
    "strides and groups": chain(
        (4, 9, 7),
        convolution(np.random.default_rng(2), 4, 4, stride=2, groups=2),
        neurons((4, 5, 4), threshold=10.0),
        convolution(np.random.default_rng(3), 6, 4, kernel=3, padding=0, groups=1),
        neurons((6, 3, 2), kind="if", threshold=20.0),
        nir.SumPool2d(kernel_size=np.array((2, 2)), stride=np.array((1, 1)), padding=np.array((0, 0))),
        nir.Flatten({"input": np.array((6, 2, 1))}, start_dim=0),
        affine(np.random.default_rng(4), 3, 12),
    ),
    "features": chain((10,), affine(np.random.default_rng(5), 7, 10), neurons((7,), threshold=12.0)),
    "one threshold for all": chain((10,), affine(np.random.default_rng(5), 7, 10), neurons((1,), threshold=12.0)),
    "one threshold for each channel": chain(
        (2, 4, 4),
        convolution(np.random.default_rng(6), 3, 2),
        nir.IF(r=np.ones(3), v_threshold=np.array((5.0, 9.0, 30.0))),
    ),
}


def broadcast(graph):
    """The same graph with every parameter of a neuron in full shape, for the loops."""
    network = import_graph(graph)
    nodes = dict(graph.nodes)
    for node, reads in zip(network.nodes, network.shapes(), strict=True):
        if isinstance(node, Neurons):
            own = graph.nodes[node.name]
            fields = ("r", "v_threshold", "v_reset", "tau", "v_leak")
            full = {
                field: np.broadcast_to(
                    node.by_channel(field, getattr(node, field), reads).reshape(-1, *[1] * (len(reads) - 1)), reads
                )
                for field in fields
                if getattr(node, field) is not None
            }
            nodes[node.name] = type(own)(**full, metadata=own.metadata)
    return nir.NIRGraph(nodes, graph.edges, type_check=False)


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())
def test_against_fractions(graph):
    """Weights are whole numbers, so nothing is rounded: every spike is that of the real network."""
    network = import_graph(graph)
    frames = frames_for(network.input_shape)
    values = quantise_network(network, dt=DT).run(frames)
    for image in range(len(frames)):
        wanted = by_hand(broadcast(graph), frames[image].numpy())
        for node in network.nodes:
            if isinstance(node, Neurons):
                assert values[node.name][:, image].tolist() == wanted[node.name].tolist(), node.name
    fired = [values[node.name].float().mean() for node in network.nodes if isinstance(node, Neurons)]
    assert all(0 < float(rate) < 1 for rate in fired)


def same(one, other):
    """Whether two graphs have the same nodes with the same numbers, in the same order."""
    a, b = one.to_dict(), other.to_dict()
    inside = [[node for node in graph["nodes"].values() if node["type"] not in ("Input", "Output")] for graph in (a, b)]
    for left, right in zip(*inside, strict=True):
        left, right = ({**node, "metadata": dict(node["metadata"])} for node in (left, right))
        assert left.keys() == right.keys()
        # What is exported says which reset it is, though the file did not.
        left["metadata"] = {**right["metadata"], **left["metadata"]}
        for key in left.keys() - {"input_shape", "metadata", "start_dim", "end_dim"}:
            assert np.array_equal(left[key], right[key]), key
        assert left["metadata"] == right["metadata"]
    return True


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())
def test_round_trip_is_exact(graph, tmp_path):
    network = import_graph(graph)
    exported = export_graph(network)
    assert same(graph, exported)
    write_graph(exported, tmp_path / "again.nir")
    again = import_graph(read_graph(tmp_path / "again.nir"))
    assert same(exported, export_graph(again))
    frames = frames_for(network.input_shape)
    first, second = (quantise_network(each, dt=DT).run(frames) for each in (network, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_node_called_input_stays(tmp_path):
    network = import_graph(GRAPHS["features"])
    named = dataclasses.replace(network, nodes=(dataclasses.replace(network.nodes[0], name="input"), network.nodes[1]))
    exported = export_graph(named)
    assert [type(node).__name__ for node in exported.nodes.values()] == ["Input", "Affine", "LIF", "Output"]
    assert import_graph(exported).nodes[0].name == "input"


def test_rounded_weights_have_a_scale_for_each_channel():
    generator = np.random.default_rng(8)
    weight = generator.normal(size=(5, 30)).astype(np.float32) * np.array([[1e-3], [1], [10], [0], [7]])
    graph = chain((30,), nir.Linear(weight), nir.IF(r=np.ones(5), v_threshold=np.full(5, 2.0)))
    weights, fires = quantise_network(import_graph(graph), dt=DT).nodes
    assert weights.weight.abs().amax(dim=1).tolist() == [127, 127, 127, 0, 127]
    for channel in (0, 1, 2, 4):
        scale = 127 / np.abs(weight[channel]).max()
        assert abs(weights.weight[channel].numpy() - weight[channel] * scale).max() <= 0.5
        assert abs(int(fires.threshold[channel]) - 2 * scale) <= 0.5
    assert quantise_network(import_graph(graph), dt=DT, weight_bits=3).nodes[0].weight.abs().max() == 3


def test_file_without_v_reset(tmp_path):
    """Files of older versions have none: the library's default is 0."""
    import h5py

    path = tmp_path / "old.nir"
    write_graph(export_graph(import_graph(example())), path)
    with h5py.File(path, "a") as file:
        for node in file["node"]["nodes"].values():
            if "v_reset" in node:
                del node["v_reset"]
    network = import_graph(read_graph(path))
    assert all((node.v_reset == 0).all() for node in network.nodes if isinstance(node, Neurons))
    frames = frames_for(network.input_shape)
    fresh, old = (quantise_network(each, dt=DT).run(frames) for each in (import_graph(example()), network))
    assert all(torch.equal(a, b) for a, b in zip(fresh.values(), old.values(), strict=True))


def test_if_keeps_everything():
    """Half of the threshold at every step: with a leak (another tool takes 0.9) the third step would not fire."""
    graph = chain((1,), nir.Linear(np.array([[50.0]])), nir.IF(r=np.ones(1), v_threshold=np.array([120.0])))
    fires = quantise_network(import_graph(graph), dt=DT).run(torch.ones((1, 6, 1), dtype=torch.uint8))["n1"]
    assert fires.flatten().tolist() == [0, 0, 1, 0, 0, 1]


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("threshold", [72.0, 60.0, 50.0])
def test_at_the_threshold_it_fires_and_resets_are_told_apart(reset, threshold):
    """Currents of 96, halved: 48, 72, ...; at a threshold of 72 it fires, and then a soft reset leaves nothing."""
    weights, lif = nir.Linear(np.array([[96.0]])), neurons((1,), threshold=threshold, r=1.0, metadata={"reset": reset})
    network = quantise_network(import_graph(chain((1,), weights, lif)), dt=DT)
    found = network.run(torch.ones((1, 8, 1), dtype=torch.uint8))["n1"].flatten().tolist()
    v, wanted = Fraction(0), []
    for _ in range(8):
        v = v / 2 + 48
        wanted.append(int(v >= threshold))
        if wanted[-1]:
            v = Fraction(0) if reset == "hard" else v - Fraction(threshold)
    assert found == wanted
    assert found[:2] == [0, 1]


def test_reset_of_files_that_say_nothing():
    graph = example()
    assert {node.reset for node in import_graph(graph).nodes if isinstance(node, Neurons)} == {Reset.HARD}
    chosen = import_graph(graph, reset=Reset.SOFT)
    assert {node.reset for node in chosen.nodes if isinstance(node, Neurons)} == {Reset.SOFT}
    # What a file says stands.
    named = import_graph(example(metadata={"reset": "hard"}), reset=Reset.SOFT)
    assert {node.reset for node in named.nodes if isinstance(node, Neurons)} == {Reset.HARD}


def test_nodes_without_shapes_take_them_from_the_input():
    network = import_graph(example())
    assert network.shapes()[:3] == ((6, 8, 8), (6, 8, 8), (8, 8, 8))
    assert isinstance(network.nodes[3], Pool)
    assert network.parameters == 6 * 2 * 9 + 6 + 8 * 6 * 9 + 8 + 12 * 128 + 12 + 4 * 12


def _edited(graph, **nodes):
    return nir.NIRGraph({**graph.nodes, **nodes}, graph.edges, type_check=False)


def _with_edges(graph, *edges):
    return nir.NIRGraph(graph.nodes, [*graph.edges, *edges], type_check=False)


SIMPLE = GRAPHS["features"]
ONES = np.ones(7)
REFUSED = {
    "an input without shape": (
        _edited(SIMPLE, **{"in": nir.Input({"input": None})}),
        "node 'in': has no shape",
    ),
    "a branch": (_with_edges(SIMPLE, ("n0", "out")), "node 'n0' leads to 'n1', 'out'"),
    "a loop": (_with_edges(SIMPLE, ("n1", "n0")), "only chains are supported"),
    "a loose node": (
        nir.NIRGraph({**SIMPLE.nodes, "lost": SIMPLE.nodes["n1"]}, SIMPLE.edges, type_check=False),
        "node 'lost' is not on the way",
    ),
    "an end": (nir.NIRGraph(SIMPLE.nodes, SIMPLE.edges[:-1], type_check=False), "node 'n1' leads nowhere"),
    "an edge to nothing": (_with_edges(SIMPLE, ("n1", "none")), "the node 'none', which is not there"),
    "two outputs": (
        nir.NIRGraph({**SIMPLE.nodes, "more": nir.Output(np.array((7,)))}, SIMPLE.edges, type_check=False),
        "the graph has 2 output nodes",
    ),
    "wrong features": (
        _edited(SIMPLE, n0=affine(np.random.default_rng(1), 7, 11)),
        "node 'n0': has weights for 11 features, but reads the shape [10]",
    ),
    "a synapse with a time constant": (
        _edited(
            SIMPLE,
            n1=nir.CubaLIF(tau_syn=ONES, tau_mem=ONES, r=ONES, v_leak=ONES, v_threshold=ONES),
        ),
        "node 'n1': CubaLIF is not supported: its current has a time constant of its own",
    ),
    "a graph inside": (_edited(SIMPLE, n1=SIMPLE), "node 'n1': NIRGraph is not supported: a graph within the graph"),
    "a delay": (_edited(SIMPLE, n1=nir.Delay(ONES)), "node 'n1': Delay is not supported: it is none of Conv2d"),
    "a decay between sixteenths": (
        _edited(SIMPLE, n1=neurons((7,), keep=0.7)),
        "node 'n1': keeps 0.7 of its membrane at a step of 0.0001 s",
    ),
    "another potential after a spike": (
        _edited(SIMPLE, n1=neurons((7,), v_reset=np.full(7, 0.5))),
        "node 'n1': resets to 0.5",
    ),
    "a reset of another kind": (
        _edited(SIMPLE, n1=neurons((7,), metadata={"reset": "subtract, after the leak"})),
        "node 'n1': its reset is 'subtract, after the leak'; hard and soft are supported",
    ),
    "tau by neuron": (
        _edited(
            SIMPLE,
            n1=nir.LIF(tau=np.array([2e-4] * 6 + [4e-4]), r=ONES, v_leak=0 * ONES, v_threshold=ONES),
        ),
        "node 'n1': tau differs between channels",
    ),
    "no resistance": (_edited(SIMPLE, n1=neurons((7,), kind="if", r=0.0)), "node 'n1': r is 0; it must be above 0"),
    "a threshold for every position": (
        chain(
            (2, 4, 4),
            convolution(np.random.default_rng(6), 3, 2),
            nir.IF(r=np.ones((3, 4, 4)), v_threshold=np.arange(48.0).reshape(3, 4, 4)),
        ),
        "node 'n1': v_threshold differs within a channel",
    ),
    "a threshold of another shape": (
        _edited(SIMPLE, n1=neurons((6,))),
        "node 'n1': r has the shape [6], but it reads [7]",
    ),
    "an infinite threshold": (
        _edited(SIMPLE, n1=neurons((7,), threshold=math.inf)),
        "node 'n1': its threshold reaches inf",
    ),
    "dilation": (
        chain((2, 8, 8), nir.Conv2d(None, np.ones((3, 2, 3, 3)), 1, 1, 2, 1, np.zeros(3))),
        "node 'n0': dilation is not supported",
    ),
    "groups that divide nothing": (
        chain((2, 8, 8), nir.Conv2d(None, np.ones((3, 1, 3, 3)), 1, 1, 1, 2, np.zeros(3))),
        "node 'n0': 2 groups do not divide its 3 channels",
    ),
    "a window larger than the map": (
        chain((2, 4, 4), convolution(np.random.default_rng(1), 3, 2, kernel=7, padding=0)),
        "node 'n0': its window of 7 is larger than the 4 positions that it reads",
    ),
    "padding of an even kernel": (
        chain((2, 8, 8), nir.Conv2d(None, np.ones((3, 2, 2, 2)), 1, "same", 1, 1, np.zeros(3))),
        "needs stride 1 and a kernel of odd sides",
    ),
    "a pool with padding": (
        chain(
            (2, 8, 8),
            nir.SumPool2d(kernel_size=np.array((2, 2)), stride=np.array((2, 2)), padding=np.array((1, 1))),
            convolution(np.random.default_rng(1), 3, 2),
        ),
        "node 'n0': a pool with padding is not supported",
    ),
    "half of a flatten": (
        chain((2, 8, 8), nir.Flatten({"input": np.array((2, 8, 8))}, start_dim=1, end_dim=2)),
        "node 'n0': flattens dimensions 1 to 2, not all of them",
    ),
    "weights behind weights": (
        chain((10,), affine(np.random.default_rng(1), 7, 10), affine(np.random.default_rng(1), 3, 7)),
        "node 'n1': reads the currents of other weights",
    ),
    "neurons behind neurons": (
        chain((10,), affine(np.random.default_rng(1), 7, 10), neurons((7,)), neurons((7,))),
        "node 'n2': reads spikes; neurons need weights in front of them",
    ),
    "no weights": (chain((2, 8, 8), nir.Flatten({"input": np.array((2, 8, 8))}, start_dim=0)), "has no weights"),
}


@pytest.mark.parametrize(("graph", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_is_refused_by_name(graph, message):
    with pytest.raises(SaformerError) as error:
        quantise_network(import_graph(graph), dt=DT)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_report_names_every_node():
    findings = inspect(_edited(example(), n4=nir.Delay(ONES)))
    assert [finding.name for finding in findings] == ["in", *(f"n{index}" for index in range(9)), "out"]
    assert [finding.name for finding in findings if not finding.supported] == ["n4"]
    words = {finding.name: finding.words for finding in findings}
    assert words["n0"] == "2 to 6 channels, 3x3, stride 1"
    assert words["n1"] == "hard reset"
    assert words["n3"] == "mean over 2x2"
    assert words["n4"].startswith("Delay is not supported")
    assert words["n6"] == "128 to 12 features"


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x89HDF\r\n\x1a\n" + bytes(50)])
def test_files_that_are_none(tmp_path, content):
    path = tmp_path / "bad.nir"
    path.write_bytes(content)
    with pytest.raises(SaformerError, match="is not a NIR graph that can be read"):
        read_graph(path)


def test_missing_file(tmp_path):
    with pytest.raises(SaformerError, match="name a NIR file"):
        read_graph(tmp_path / "none.nir")


def test_a_single_node(tmp_path):
    nir.write(tmp_path / "one.nir", nir.Linear(np.ones((2, 3))))
    with pytest.raises(SaformerError, match="is not a NIR graph that can be read"):
        read_graph(tmp_path / "one.nir")


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (torch.zeros((1, 2, 11), dtype=torch.uint8), "the network reads uint8 frames"),
        (torch.zeros((1, 2, 10)), "not float32"),
        (torch.full((1, 2, 10), 2, dtype=torch.uint8), "frames hold 0 and 1, and these have a 2"),
        (torch.zeros((1, 30, 10), dtype=torch.uint8), "take fewer timesteps"),
    ],
)
def test_frames_that_do_not_fit(frames, message):
    slow = _edited(SIMPLE, n1=neurons((7,), keep=0.75))
    with pytest.raises(SaformerError, match=message):
        quantise_network(import_graph(slow), dt=DT).run(frames)


def test_batches_change_nothing():
    network = quantise_network(import_graph(example()), dt=DT)
    frames = frames_for((2, 8, 8), images=4)
    together = network.run(frames)
    for image in range(4):
        alone = network.run(frames[image : image + 1])
        assert all(torch.equal(alone[name][:, 0], together[name][:, image]) for name in alone)
    sums = together["n8"].sum(dim=0)
    assert predictions(together).tolist() == sums.argmax(dim=1).tolist()
