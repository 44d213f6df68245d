"""Small NIR graphs with numbers that are exact in binary."""

from itertools import pairwise

import nir
import numpy as np


def neurons(shape, *, kind="lif", threshold=1.0, dt=1e-4, keep=0.5, r=None, v_leak=0.0, **settings):
    """LIF that keeps `keep` of its membrane at a step of `dt`, or IF, all alike."""

    def full(value):
        return np.full(shape, value)

    if kind == "if":
        return nir.IF(r=full(1.0 if r is None else r), v_threshold=full(threshold), **settings)
    tau = dt / (1 - keep)
    # By default r makes up for the share of the current that a step takes.
    return nir.LIF(
        tau=full(tau),
        r=full(1 / (1 - keep) if r is None else r),
        v_leak=full(v_leak),
        v_threshold=full(threshold),
        **settings,
    )


def convolution(generator, outputs, inputs, *, kernel=3, padding=1, stride=1, groups=1, shape=None, scale=1.0):
    """A convolution whose weights are whole numbers times `scale`."""
    weight = scale * generator.integers(-20, 21, (outputs, inputs // groups, kernel, kernel)).astype(np.float32)
    bias = scale * generator.integers(-5, 6, outputs).astype(np.float32)
    return nir.Conv2d(shape, weight, stride, padding, 1, groups, bias)


def affine(generator, outputs, inputs, *, bias=True):
    """A linear map of whole numbers."""
    weight = generator.integers(-20, 21, (outputs, inputs)).astype(np.float32)
    return nir.Affine(weight, generator.integers(-5, 6, outputs).astype(np.float32)) if bias else nir.Linear(weight)


def chain(shape, *nodes, output=None):
    """A graph of these nodes in a row, between an input of this shape and an output."""
    names = [f"n{index}" for index in range(len(nodes))]
    everything = {"in": nir.Input(np.array(shape)), **dict(zip(names, nodes, strict=True))}
    everything["out"] = nir.Output(np.array(output or (1,)))
    order = list(everything)
    return nir.NIRGraph(everything, list(pairwise(order)), type_check=False)


def example(seed=1, *, kind="lif", size=8, **settings):
    """Convolution, neurons, convolution with a mean over 2x2, neurons, flatten, affine, neurons, linear."""
    generator = np.random.default_rng(seed)
    half = size // 2
    pool = nir.AvgPool2d(kernel_size=np.array((2, 2)), stride=np.array((2, 2)), padding=np.array((0, 0)))
    return chain(
        (2, size, size),
        convolution(generator, 6, 2),
        neurons((6, size, size), kind=kind, threshold=30.0, **settings),
        convolution(generator, 8, 6),
        pool,
        neurons((8, half, half), kind=kind, threshold=25.0, **settings),
        nir.Flatten({"input": np.array((8, half, half))}, start_dim=0),
        affine(generator, 12, 8 * half * half),
        neurons((12,), kind=kind, threshold=40.0, **settings),
        affine(generator, 4, 12, bias=False),
        output=(4,),
    )
