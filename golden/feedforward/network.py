"""A chain of nodes with the shapes between them."""

from dataclasses import dataclass

import numpy as np

from golden.errors import SaformerError
from golden.feedforward.nodes import Convolution, Dense, Neurons, Node, Shape


@dataclass(frozen=True, kw_only=True, eq=False)
class FeedForward:
    """A network of real numbers: binary frames [T, C, H, W], or [T, features], through its nodes in order.

    Raises SaformerError: a shape does not fit, a name is there twice, neurons read what no weights computed, or weights
    read what no neurons fired.
    """

    input_shape: Shape
    nodes: tuple[Node, ...]

    def __post_init__(self):
        if len(self.input_shape) not in (1, 3) or min(self.input_shape) < 1:
            raise SaformerError(
                f"the input must be a map [channels, height, width] or features, not {list(self.input_shape)}"
            )
        names = [node.name for node in self.nodes]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise SaformerError(f"two nodes are called {twice[0]!r}")
        spiking = True
        for node in self.nodes:
            if isinstance(node, Neurons):
                if spiking:
                    raise node.refuse("reads spikes; neurons need weights in front of them")
                spiking = True
            elif isinstance(node, Convolution | Dense):
                if not spiking:
                    raise node.refuse("reads the currents of other weights; put neurons between them, or one matrix")
                spiking = False
        self.shapes()  # or it raises
        if not any(isinstance(node, Convolution | Dense) for node in self.nodes):
            raise SaformerError("the network has no weights: nothing is there to compute")

    def shapes(self) -> tuple[Shape, ...]:
        """The shape of what every node puts out."""
        shape, found = self.input_shape, []
        for node in self.nodes:
            shape = tuple(int(size) for size in node.shape(shape))
            found.append(shape)
        return tuple(found)

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        weighted = [node for node in self.nodes if isinstance(node, Convolution | Dense)]
        biases = sum(0 if node.bias is None else np.size(node.bias) for node in weighted)
        return sum(node.weight.size for node in weighted) + biases
