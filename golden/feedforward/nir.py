"""NIR, the neuromorphic intermediate representation (J. E. Pedersen et al., Nature Communications 15, 2024).

A file is a graph of nodes. Chains of those that this project can compute are imported, and the rest is refused by the
name of the node. The numbers of a file stay as they are, so that what was imported is exported again.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np

from golden.config import Reset
from golden.errors import SaformerError
from golden.feedforward.network import FeedForward
from golden.feedforward.nodes import Convolution, Dense, Flatten, Neurons, Node, Pair, Pool, Shape
from golden.files import write_atomically

RESET = "reset"
"""Key of a neuron's metadata that names its reset: "hard", to `v_reset`, or "soft", by the threshold before the next
leak. NIR itself describes continuous time, in which both are the same."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Whether a node can be imported, what it is, and why not."""

    name: str
    kind: str
    supported: bool
    words: str


def read_graph(path: Path) -> nir.NIRGraph:
    """The graph of a file. Raises SaformerError: it is not there, or not a graph that the library reads."""
    if not path.is_file():
        raise SaformerError(f"no file {path}: name a NIR file")
    try:
        # Shapes are checked when the chain is made, where the node that does not fit is known.
        return nir.read(path, type_check=False)
    except (OSError, KeyError, ValueError, TypeError, AttributeError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SaformerError(f"{path} is not a NIR graph that can be read ({reason})") from None


def inspect(graph: nir.NIRGraph, *, reset: Reset | None = None) -> list[Finding]:
    """Every node of a graph, in the order of the file: whether it can be imported, and why not."""
    findings = []
    for name, node in graph.nodes.items():
        try:
            words = "" if isinstance(node, nir.Input | nir.Output) else _words(_convert(name, node, reset))
            finding = Finding(name=name, kind=type(node).__name__, supported=True, words=words)
        except SaformerError as error:
            reason = str(error).removeprefix(f"node {name!r}: ")
            finding = Finding(name=name, kind=type(node).__name__, supported=False, words=reason)
        findings.append(finding)
    return findings


def import_graph(graph: nir.NIRGraph, *, reset: Reset | None = None) -> FeedForward:
    """The network of a graph. `reset` is that of neurons whose metadata name none; hard if it is not given.

    Raises SaformerError: the graph is no chain from one input to one output, or a node cannot be used, with its name.
    """
    order = _chain(graph)
    source = graph.nodes[order[0]]
    return FeedForward(
        input_shape=_input_shape(order[0], source),
        nodes=tuple(_convert(name, graph.nodes[name], reset) for name in order[1:-1]),
    )


def export_graph(network: FeedForward) -> nir.NIRGraph:
    """The graph of a network, with an input and an output around it."""
    shapes, taken = network.shapes(), {node.name for node in network.nodes}
    first, last = (_free(name, taken) for name in ("input", "output"))
    nodes: dict[str, nir.NIRNode] = {first: nir.Input(np.array(network.input_shape))}
    reads = (network.input_shape, *shapes)
    for node, shape in zip(network.nodes, reads, strict=False):
        nodes[node.name] = _export(node, shape)
    nodes[last] = nir.Output(np.array(shapes[-1]))
    names = list(nodes)
    return nir.NIRGraph(nodes=nodes, edges=list(pairwise(names)), type_check=False)


def _free(name: str, taken: set[str]) -> str:
    """A name that no node has."""
    while name in taken:
        name += "_"
    return name


def write_graph(graph: nir.NIRGraph, path: Path) -> None:
    """Write a graph. Raises SaformerError: the file cannot be written."""
    # The library reads back what it writes, which the file of an atomic write does not allow.
    whole = io.BytesIO()
    nir.write(whole, graph)
    write_atomically(path, lambda file: file.write(whole.getvalue()))


def _chain(graph: nir.NIRGraph) -> list[str]:
    """The names of the nodes from the input to the output."""
    after: dict[str, list[str]] = {name: [] for name in graph.nodes}
    before: dict[str, list[str]] = {name: [] for name in graph.nodes}
    # A file may name an edge twice.
    for source, target in dict.fromkeys((str(source), str(target)) for source, target in graph.edges):
        for name in (source, target):
            if name not in after:
                raise SaformerError(f"an edge of the graph names the node {name!r}, which is not there")
        after[source].append(target)
        before[target].append(source)
    ends = [[name for name, node in graph.nodes.items() if isinstance(node, kind)] for kind in (nir.Input, nir.Output)]
    for names, what in zip(ends, ("input", "output"), strict=True):
        if len(names) != 1:
            raise SaformerError(f"the graph has {len(names)} {what} nodes; a chain has one")
    order, (last,) = [ends[0][0]], ends[1]
    while order[-1] != last:
        name = order[-1]
        if len(after[name]) != 1:
            words = "leads nowhere" if not after[name] else f"leads to {', '.join(map(repr, after[name]))}"
            raise SaformerError(f"node {name!r} {words}: only chains are supported, without branches and loops")
        target = after[name][0]
        if target in order or len(before[target]) > 1:
            sources = ", ".join(map(repr, before[target]))
            raise SaformerError(
                f"node {target!r} reads {sources}: only chains are supported, without branches and loops"
            )
        order.append(target)
    if lost := [name for name in graph.nodes if name not in order]:
        raise SaformerError(f"node {lost[0]!r} is not on the way from the input to the output")
    return order


def _input_shape(name: str, node: nir.Input) -> Shape:
    shape = node.input_type.get("input")
    if shape is None or not np.size(shape):
        raise SaformerError(f"node {name!r}: has no shape, and it decides that of all others; write it into the file")
    return tuple(int(size) for size in np.ravel(shape))


def _pair(value: object) -> Pair:
    first, second = np.broadcast_to(np.asarray(value, dtype=int).ravel(), (2,)).tolist()
    return first, second


def _convert(name: str, node: nir.NIRNode, reset: Reset | None) -> Node:
    """The node of a chain. Raises SaformerError, with its name."""
    if type(node) not in _IMPORTS:
        hint = {
            nir.CubaLIF: "its current has a time constant of its own",
            nir.NIRGraph: "a graph within the graph, as recurrent layers have it",
            nir.Conv1d: "convolutions are of two dimensions",
        }.get(type(node), "it is none of " + ", ".join(kind.__name__ for kind in _IMPORTS))
        raise SaformerError(f"node {name!r}: {type(node).__name__} is not supported: {hint}")
    return _IMPORTS[type(node)](name, node, reset)


def _convolution(name: str, node: nir.Conv2d, _reset: Reset | None) -> Convolution:
    weight = np.asarray(node.weight)
    if weight.ndim != 4:
        raise SaformerError(f"node {name!r}: its weights have {weight.ndim} dimensions, not 4")
    if _pair(node.dilation) != (1, 1):
        raise SaformerError(f"node {name!r}: dilation is not supported")
    if node.groups != 1 and (len(weight) % int(node.groups)):
        raise SaformerError(f"node {name!r}: {node.groups} groups do not divide its {len(weight)} channels")
    stride, kernel = _pair(node.stride), weight.shape[2:]
    if isinstance(node.padding, str):
        if node.padding == "same" and (stride != (1, 1) or not all(side % 2 for side in kernel)):
            raise SaformerError(f'node {name!r}: padding "same" needs stride 1 and a kernel of odd sides')
        padding = (kernel[0] // 2, kernel[1] // 2) if node.padding == "same" else (0, 0)
    else:
        padding = _pair(node.padding)
    bias = np.zeros(len(weight), weight.dtype) if node.bias is None else np.asarray(node.bias)
    return Convolution(name=name, weight=weight, bias=bias, stride=stride, padding=padding, groups=int(node.groups))


def _dense(name: str, node: nir.Affine | nir.Linear, _reset: Reset | None) -> Dense:
    weight = np.asarray(node.weight)
    if weight.ndim != 2:
        raise SaformerError(f"node {name!r}: its weights have {weight.ndim} dimensions, not 2")
    return Dense(name=name, weight=weight, bias=np.asarray(node.bias) if isinstance(node, nir.Affine) else None)


def _pool(name: str, node: nir.SumPool2d | nir.AvgPool2d, _reset: Reset | None) -> Pool:
    if _pair(node.padding) != (0, 0):
        raise SaformerError(f"node {name!r}: a pool with padding is not supported")
    kernel, stride = _pair(node.kernel_size), _pair(node.stride)
    return Pool(name=name, kernel=kernel, stride=stride, average=isinstance(node, nir.AvgPool2d))


def _flatten(name: str, node: nir.Flatten, _reset: Reset | None) -> Flatten:
    if (int(node.start_dim), int(node.end_dim)) not in ((0, -1), (1, -1), (0, 2), (1, 3)):
        raise SaformerError(f"node {name!r}: flattens dimensions {node.start_dim} to {node.end_dim}, not all of them")
    return Flatten(name=name)


def _neurons(name: str, node: nir.LIF | nir.IF, reset: Reset | None) -> Neurons:
    own = (node.metadata or {}).get(RESET)
    own = own.decode() if isinstance(own, bytes) else own
    if own is not None and own not in list(Reset):
        raise SaformerError(f"node {name!r}: its reset is {own!r}; {' and '.join(Reset)} are supported")
    kept = {field: np.asarray(getattr(node, field)) for field in ("r", "v_threshold", "v_reset")}
    if isinstance(node, nir.LIF):
        kept |= {field: np.asarray(getattr(node, field)) for field in ("tau", "v_leak")}
    return Neurons(name=name, reset=Reset(own) if own is not None else reset or Reset.HARD, **kept)


_IMPORTS: dict[type[nir.NIRNode], Callable[[str, nir.NIRNode, Reset | None], Node]] = {
    nir.Conv2d: _convolution,
    nir.Affine: _dense,
    nir.Linear: _dense,
    nir.SumPool2d: _pool,
    nir.AvgPool2d: _pool,
    nir.Flatten: _flatten,
    nir.LIF: _neurons,
    nir.IF: _neurons,
}


def _words(node: Node) -> str:
    match node:
        case Convolution():
            outputs, inputs, height, width = node.weight.shape
            groups = "" if node.groups == 1 else f", {node.groups} groups"
            return f"{inputs * node.groups} to {outputs} channels, {height}x{width}, stride {node.stride[0]}{groups}"
        case Dense():
            return f"{node.weight.shape[1]} to {node.weight.shape[0]} features"
        case Pool():
            return f"{'mean' if node.average else 'sum'} over {node.kernel[0]}x{node.kernel[1]}"
        case Neurons():
            return f"{node.reset} reset"
    return ""


def _export(node: Node, reads: Shape) -> nir.NIRNode:
    match node:
        case Convolution():
            settings = {"stride": node.stride, "padding": node.padding, "dilation": 1, "groups": node.groups}
            return nir.Conv2d(input_shape=reads[1:], weight=node.weight, bias=node.bias, **settings)
        case Dense():
            return nir.Linear(node.weight) if node.bias is None else nir.Affine(node.weight, node.bias)
        case Pool():
            kind = nir.AvgPool2d if node.average else nir.SumPool2d
            return kind(kernel_size=np.array(node.kernel), stride=np.array(node.stride), padding=np.array((0, 0)))
        case Flatten():
            return nir.Flatten({"input": np.array(reads)}, start_dim=0)
        case Neurons():
            kind = nir.IF if node.tau is None else nir.LIF
            leaky = {} if node.tau is None else {"tau": node.tau, "v_leak": node.v_leak}
            same = {"r": node.r, "v_threshold": node.v_threshold, "v_reset": node.v_reset}
            return kind(**leaky, **same, metadata={RESET: str(node.reset)})
    raise node.refuse("NIR has no such node")
