"""The network as the hardware sees it: which steps run in which order, what each reads, writes and does."""

from dataclasses import dataclass

import numpy as np

from golden.integer import IntegerModel
from hw.config import HardwareConfig
from hw.program import Fold, Kind, Target


@dataclass(frozen=True, kw_only=True)
class Map:
    """Spikes [planes, height, width, channels] in spike memory; ``name`` is the golden activation (or ``pixels``)."""

    name: str
    height: int
    width: int
    channels: int
    planes: int = 1

    @property
    def positions(self) -> int:
        """Positions of one plane."""
        return self.height * self.width


@dataclass(frozen=True, kw_only=True)
class Neurons:
    """What the neuron path needs for every channel, int64 [channels] each.

    Bias and threshold in units of the channel's weight scale; ``shift`` brings a current to the stream's scale.
    """

    bias: np.ndarray
    threshold: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Step:
    """One layer of the program.

    ``reads`` and ``writes`` are spike maps, ``outputs`` channels, ``tokens`` the positions that a POOL step sums;
    ``weights`` is int8 [outputs, inputs, kernel, kernel] of an EVENT step, ``taps`` [outputs, 9] and ``one`` [outputs]
    belong to a MIX step. ``position`` and ``tile`` say where the currents of a position and of a folded tile of
    ``tile_side`` squared positions go, with the neurons for each. ``stream``, ``windows``, ``mask`` and ``logits`` name
    golden results that the step produces beside its spikes.
    """

    name: str
    kind: Kind
    reads: Map | None = None
    writes: Map | None = None
    outputs: int = 0
    tokens: int = 0
    weights: np.ndarray | None = None
    taps: np.ndarray | None = None
    one: np.ndarray | None = None
    fold: Fold = Fold.NONE
    tile_side: int = 1
    position: Target = Target.NONE
    tile: Target = Target.NONE
    position_neurons: Neurons | None = None
    tile_neurons: Neurons | None = None
    stream: str | None = None
    windows: str | None = None
    mask: str | None = None
    logits: str | None = None

    @property
    def kernel(self) -> int:
        """Side of the window of inputs of one position."""
        return 1 if self.weights is None else self.weights.shape[2]

    @property
    def tiles(self) -> int:
        """Tiles of the map that an EVENT step reads."""
        return self.reads.positions // self.tile_side**2

    @property
    def targets(self) -> set[Target]:
        """Where the step's currents go."""
        return {self.position, self.tile} - {Target.NONE}


def schedule(model: IntegerModel, config: HardwareConfig) -> list[Step]:
    """The steps of one inference, in the order of execution."""
    maps = _Maps(model, config)
    steps = [
        Step(name="load", kind=Kind.LOAD, writes=maps.pixels(), outputs=model.config.in_channels),
        *(_convolution(model, maps, stage) for stage in range(1, 6)),
    ]
    for block in range(model.config.depth):
        steps += _block(model, maps, block)
    return [*steps, *_head(model, maps)]


class _Maps:
    """The spike maps of a model, by the name of their activation."""

    def __init__(self, model: IntegerModel, config: HardwareConfig):
        self.model = model.config
        self.chunks = config.chunks

    def pixels(self) -> Map:
        size = self.model.image_size
        return Map(name="pixels", height=size, width=size, channels=self.model.in_channels, planes=self.chunks)

    def stage(self, stage: int) -> Map:
        """The output of convolution `stage`, after its pool."""
        if stage == 5:
            return self.tokens("blocks.0.input")
        side = self.model.stage_side(stage + 1)
        return Map(name=f"conv{stage}", height=side, width=side, channels=self.model.stage_channels[stage - 1])

    def tokens(self, name: str, *, channels: int | None = None) -> Map:
        grid = self.model.grid
        return Map(name=name, height=grid, width=grid, channels=channels or self.model.dim)

    def pooled(self) -> Map:
        return Map(name="head", height=1, width=1, channels=self.model.dim)


def _values(model: IntegerModel, name: str) -> np.ndarray:
    return model.tensors[name].numpy().astype(np.int64)


def _weights(model: IntegerModel, layer: str) -> np.ndarray:
    """Weights int8 [outputs, inputs, kernel, kernel]; a linear layer is a 1x1 convolution."""
    weights = model.tensors[f"{layer}.weight"].numpy().astype(np.int8)
    return weights.reshape(*weights.shape, 1, 1) if weights.ndim == 2 else weights


def _neurons(model: IntegerModel, layer: str, threshold: str, *, factor: int = 1) -> Neurons:
    """The neurons of a layer; `factor` is the number of currents that are summed before them."""
    bias = _values(model, f"{layer}.bias")
    shift = _values(model, f"{layer}.shift") if f"{layer}.shift" in model.tensors else np.zeros_like(bias)
    return Neurons(bias=factor * bias, threshold=factor * _values(model, threshold), shift=shift)


def _linear(model: IntegerModel, layer: str, **fields) -> Step:
    weights = _weights(model, layer)
    return Step(name=layer, kind=Kind.EVENT, weights=weights, outputs=len(weights), **fields)


def _convolution(model: IntegerModel, maps: _Maps, stage: int) -> Step:
    layer = f"conv{stage}"
    pooled = stage in model.config.pool_stages
    target = {4: Target.STREAM_OPEN, 5: Target.STREAM_ADD}.get(stage, Target.SPIKES)
    neurons = _neurons(model, layer, "stream.threshold" if stage == 5 else f"{layer}.threshold")
    fold = Fold.BITS if stage == 1 else Fold.MAX if pooled else Fold.NONE
    current = (
        {"position": target, "position_neurons": neurons}
        if fold is Fold.NONE
        else {"tile": target, "tile_neurons": neurons, "fold": fold, "tile_side": 2 if pooled else 1}
    )
    reads = maps.pixels() if stage == 1 else maps.stage(stage - 1)
    stream = f"stream.{layer}" if stage >= 4 else None
    return _linear(model, layer, reads=reads, writes=maps.stage(stage), stream=stream, **current)


def _block(model: IntegerModel, maps: _Maps, block: int) -> list[Step]:
    name = f"blocks.{block}"
    spikes, keys, mixed = (maps.tokens(f"{name}.{kind}") for kind in ("input", "k", "mix"))
    mlp_input = maps.tokens(f"{name}.mlp_input")
    hidden = maps.tokens(f"{name}.fc1", channels=model.config.hidden)
    last = block == model.config.depth - 1
    sums = {"fold": Fold.SUM, "tile_side": model.config.window_kernel}
    window = model.config.window_tokens

    def neurons(layer: str, **choices) -> Neurons:
        return _neurons(model, f"{name}.{layer}", f"{name}.{layer}.threshold", **choices)

    def writer(layer: str, **fields) -> Step:
        """A layer that adds to the residual stream."""
        adds = _neurons(model, f"{name}.{layer}", "stream.threshold")
        return _linear(model, f"{name}.{layer}", position_neurons=adds, stream=f"{name}.stream.{layer}", **fields)

    return [
        _linear(
            model,
            f"{name}.q",
            reads=spikes,
            tile=Target.QUERY,
            tile_neurons=neurons("q", factor=window),
            windows=f"{name}.qa",
            **sums,
        ),
        _linear(
            model,
            f"{name}.k",
            reads=spikes,
            writes=keys,
            position=Target.SPIKES,
            position_neurons=neurons("k"),
            tile=Target.KEY,
            tile_neurons=neurons("k", factor=window),
            windows=f"{name}.ka",
            mask=f"{name}.mask",
            **sums,
        ),
        _mix(model, name, keys, mixed),
        writer("proj", reads=mixed, writes=mlp_input, position=Target.STREAM_ADD),
        _linear(
            model,
            f"{name}.fc1",
            reads=mlp_input,
            writes=hidden,
            position=Target.SPIKES,
            position_neurons=neurons("fc1"),
        ),
        writer(
            "fc2",
            reads=hidden,
            writes=None if last else maps.tokens(f"blocks.{block + 1}.input"),
            position=Target.STREAM_CLOSE if last else Target.STREAM_ADD,
        ),
    ]


def _mix(model: IntegerModel, name: str, keys: Map, mixed: Map) -> Step:
    dim = model.config.dim
    if model.config.dwc:
        taps = _values(model, f"{name}.dwc.weight").reshape(dim, 9)
        one = _values(model, f"{name}.dwc.one")
        neurons = _neurons(model, f"{name}.dwc", f"{name}.dwc.threshold")
    else:
        # A current of 2 reaches the threshold 1 at its own step and leaves nothing behind: mix = M & K.
        taps, one = np.zeros((dim, 9), np.int64), np.full(dim, 2)
        neurons = Neurons(bias=np.zeros(dim, int), threshold=np.ones(dim, int), shift=np.zeros(dim, int))
    return Step(
        name=f"{name}.mix",
        kind=Kind.MIX,
        reads=keys,
        writes=mixed,
        outputs=dim,
        taps=taps,
        one=one,
        position=Target.SPIKES,
        position_neurons=neurons,
    )


def _head(model: IntegerModel, maps: _Maps) -> list[Step]:
    dim, pooled = model.config.dim, maps.pooled()
    threshold = model.config.tokens * _values(model, "stream.threshold")
    bias = _values(model, "head.bias")
    return [
        Step(
            name="pool",
            kind=Kind.POOL,
            writes=pooled,
            outputs=dim,
            tokens=model.config.tokens,
            position=Target.SPIKES,
            position_neurons=Neurons(bias=np.zeros(dim, int), threshold=threshold, shift=np.zeros(dim, int)),
        ),
        _linear(
            model,
            "head",
            reads=pooled,
            position=Target.LOGITS,
            # The classifier has no neuron: its threshold is never looked at.
            position_neurons=Neurons(bias=bias, threshold=np.zeros_like(bias), shift=np.zeros_like(bias)),
            logits="logits",
        ),
    ]
