"""The network as the hardware sees it: which steps run in which order, what each reads, writes and does."""

from dataclasses import dataclass, replace

import numpy as np

from golden.config import Input
from golden.integer import IntegerModel, aggregate_threshold
from hw.config import HardwareConfig
from hw.program import Fold, Kind, Target


@dataclass(frozen=True, kw_only=True)
class Map:
    """Spikes [planes, passes, height, width, channels] in spike memory; ``name`` is the golden activation.

    Two maps have other names: ``pixels``, whose planes are the chunks of the pixels' bits and which serves all passes,
    and ``*.counts``, whose planes are the bits of the window sums of the block's input, most significant first.
    A map that is ``stored`` as another one is that one's beats in another shape.
    """

    name: str
    height: int
    width: int
    channels: int
    planes: int = 1
    passes: int = 1
    stored: str | None = None

    @property
    def place(self) -> str:
        """The name under which it has its place in spike memory."""
        return self.stored or self.name

    @property
    def positions(self) -> int:
        """Positions of one plane and pass."""
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
class Mix:
    """What the mixing unit makes of the keys of a step, in the background: depthwise convolution, mask and neuron.

    ``taps`` is [channels, 9] and ``one`` [channels], in the same scale; ``mask_threshold`` is in sixteenths.
    """

    name: str
    writes: Map
    taps: np.ndarray
    one: np.ndarray
    neurons: Neurons
    mask_threshold: int


@dataclass(frozen=True, kw_only=True)
class Step:
    """One layer of the program.

    ``reads`` and ``writes`` are spike maps, ``outputs`` channels, ``tokens`` the positions that a POOL step sums;
    ``weights`` is int8 [outputs, inputs, kernel, kernel] of an EVENT step; an aggregated current is the sum over
    ``window`` tokens. ``position`` and ``tile`` say where the
    currents of a position and of a folded tile of ``tile_side`` squared positions go, with the neurons for each.
    ``counts`` receives the window sums of the spikes that the step writes; ``mix`` follows the step that writes keys,
    and ``keys`` is set in the step that reads what is mixed. ``stream``, ``windows``, ``mask`` and ``logits`` name
    golden results that the step produces beside its spikes.
    """

    name: str
    kind: Kind
    passes: int = 1
    reads: Map | None = None
    writes: Map | None = None
    counts: Map | None = None
    mix: Mix | None = None
    keys: Map | None = None
    outputs: int = 0
    tokens: int = 0
    weights: np.ndarray | None = None
    fold: Fold = Fold.NONE
    window: int = 1
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
    def written(self) -> list[Map]:
        """The maps that the step fills, and the mixing unit behind it."""
        maps = [self.writes, self.counts, self.mix.writes if self.mix else None]
        return [spikes for spikes in maps if spikes is not None]

    @property
    def needed(self) -> list[Map]:
        """The maps that must not be overwritten before the step has ended."""
        return [spikes for spikes in (self.reads, self.keys, *self.written) if spikes is not None]

    @property
    def targets(self) -> set[Target]:
        """Where the step's currents go."""
        return {self.position, self.tile} - {Target.NONE}


def schedule(model: IntegerModel, config: HardwareConfig, *, pooled_query: bool = True) -> list[Step]:
    """The steps of one inference, in the order of execution.

    With ``pooled_query`` the query is computed from window sums of its input spikes, n positions instead of N (exact,
    because pooling is linear); without, or where a window is a single token, from every token.
    """
    return _Schedule(model, config, pooled_query=pooled_query).steps()


class _Schedule:
    """Makes the steps of one model."""

    def __init__(self, model: IntegerModel, config: HardwareConfig, *, pooled_query: bool):
        self.model = model
        self.config = model.config
        self.chunks = config.chunks
        self.passes = -(-model.config.timesteps // config.timesteps)
        self.pooled = pooled_query and model.config.window_tokens > 1

    def steps(self) -> list[Step]:
        """All steps."""
        blocks = [step for block in range(self.config.depth) for step in self.block(block)]
        return [self.load(), *(self.convolution(stage) for stage in range(1, 6)), *blocks, *self.head()]

    def values(self, name: str) -> np.ndarray:
        """A tensor of the model."""
        return self.model.tensors[name].numpy().astype(np.int64)

    def neurons(self, layer: str, threshold: str | None = None, *, factor: int = 1) -> Neurons:
        """The neurons of a layer; `factor` is the number of currents that are summed before them."""
        bias = self.values(f"{layer}.bias")
        shift = self.values(f"{layer}.shift") if f"{layer}.shift" in self.model.tensors else np.zeros_like(bias)
        fires = self.values(threshold or f"{layer}.threshold")
        return Neurons(bias=factor * bias, threshold=factor * fires, shift=shift)

    def aggregate(self, layer: str) -> Neurons:
        """The neurons on the window sums of a layer's currents."""
        single = self.neurons(layer, factor=self.config.window_tokens)
        threshold = aggregate_threshold(self.config, self.model.tensors[f"{layer}.threshold"])
        return replace(single, threshold=threshold.numpy().astype(np.int64))

    def linear(self, layer: str, **fields) -> Step:
        """A step with the weights of a layer; a linear layer is a 1x1 convolution."""
        weights = self.model.tensors[f"{layer}.weight"].numpy().astype(np.int8)
        weights = weights.reshape(*weights.shape, 1, 1) if weights.ndim == 2 else weights
        fields = {"passes": self.passes} | fields
        return Step(name=layer, kind=Kind.EVENT, weights=weights, outputs=len(weights), **fields)

    def map(self, name: str, side: int, channels: int) -> Map:
        """A square map of spikes."""
        return Map(name=name, height=side, width=side, channels=channels, passes=self.passes)

    def tokens(self, name: str, channels: int | None = None) -> Map:
        """A map over the token grid."""
        return self.map(name, self.config.grid, channels or self.config.dim)

    def image(self) -> Map:
        """The input of the network."""
        size, channels = self.config.image_size, self.config.in_channels
        if self.config.input is Input.EVENTS:
            return self.map("frames", size, channels)
        return Map(name="pixels", height=size, width=size, channels=channels, planes=self.chunks)

    def stage(self, stage: int) -> Map:
        """The output of convolution `stage`, after its pool."""
        if stage == 5:
            return self.tokens("blocks.0.input")
        return self.map(f"conv{stage}", self.config.stage_side(stage + 1), self.config.stage_channels[stage - 1])

    def counts(self, block: int) -> Map:
        """The window sums of a block's input."""
        spikes = self.map(f"blocks.{block}.counts", self.config.window_side, self.config.dim)
        return replace(spikes, planes=self.config.window_tokens.bit_length())

    def opens(self, block: int) -> dict:
        """How a step visits its positions that writes the input of a block."""
        if not self.pooled or block == self.config.depth:
            return {}
        return {"counts": self.counts(block), "tile_side": self.config.window_kernel}

    def load(self) -> Step:
        """The image into spike memory."""
        image = self.image()
        return Step(name="load", kind=Kind.LOAD, passes=image.passes, writes=image, outputs=image.channels)

    def convolution(self, stage: int) -> Step:
        """One of conv1 to conv5."""
        layer = f"conv{stage}"
        reads = self.image() if stage == 1 else self.stage(stage - 1)
        pooled = stage in self.config.pool_stages
        target = {4: Target.STREAM_OPEN, 5: Target.STREAM_ADD}.get(stage, Target.SPIKES)
        neurons = self.neurons(layer, "stream.threshold" if stage == 5 else None)
        fold = Fold.BITS if reads.name == "pixels" else Fold.MAX if pooled else Fold.NONE
        current = (
            {"position": target, "position_neurons": neurons}
            if fold is Fold.NONE
            else {"tile": target, "tile_neurons": neurons, "fold": fold, "tile_side": 2 if pooled else 1}
        )
        stream = f"stream.{layer}" if stage >= 4 else None
        order = self.opens(0) if stage == 5 else {}
        return self.linear(layer, reads=reads, writes=self.stage(stage), stream=stream, **current, **order)

    def block(self, block: int) -> list[Step]:
        """The steps of an encoder block."""
        name = f"blocks.{block}"
        spikes, keys, mixed = (self.tokens(f"{name}.{kind}") for kind in ("input", "k", "mix"))
        mlp_input, hidden = self.tokens(f"{name}.mlp_input"), self.tokens(f"{name}.fc1", self.config.hidden)
        last = block == self.config.depth - 1
        sums = {"fold": Fold.SUM, "tile_side": self.config.window_kernel}
        window = self.config.window_tokens
        query = {"reads": self.counts(block), "fold": Fold.COUNTS} if self.pooled else {"reads": spikes, **sums}
        aggregated = {kind: self.aggregate(f"{name}.{kind}") for kind in ("q", "k")}
        return [
            self.linear(
                f"{name}.q",
                window=window,
                tile=Target.QUERY,
                tile_neurons=aggregated["q"],
                windows=f"{name}.qa",
                **query,
            ),
            self.linear(
                f"{name}.k",
                reads=spikes,
                writes=keys,
                mix=self.mix(name, mixed),
                position=Target.SPIKES,
                position_neurons=self.neurons(f"{name}.k"),
                tile=Target.KEY,
                tile_neurons=aggregated["k"],
                windows=f"{name}.ka",
                mask=f"{name}.mask",
                window=window,
                **sums,
            ),
            self.adder(f"{name}.proj", reads=mixed, keys=keys, writes=mlp_input, position=Target.STREAM_ADD),
            self.linear(
                f"{name}.fc1",
                reads=mlp_input,
                writes=hidden,
                position=Target.SPIKES,
                position_neurons=self.neurons(f"{name}.fc1"),
            ),
            self.adder(
                f"{name}.fc2",
                reads=hidden,
                writes=None if last else self.tokens(f"blocks.{block + 1}.input"),
                position=Target.STREAM_CLOSE if last else Target.STREAM_ADD,
                **self.opens(block + 1),
            ),
        ]

    def adder(self, layer: str, **fields) -> Step:
        """A layer that adds to the residual stream."""
        block, _, writer = layer.rpartition(".")
        stream = f"{block}.stream.{writer}"
        return self.linear(layer, position_neurons=self.neurons(layer, "stream.threshold"), stream=stream, **fields)

    def mix(self, name: str, mixed: Map) -> Mix:
        """The depthwise convolution and the mask of a block."""
        dim = self.config.dim
        if self.config.dwc:
            taps, one = self.values(f"{name}.dwc.weight").reshape(dim, 9), self.values(f"{name}.dwc.one")
            neurons = self.neurons(f"{name}.dwc")
        else:
            # A current of 2 reaches the threshold 1 at its own step and leaves nothing behind: mix = M & K.
            taps, one = np.zeros((dim, 9), np.int64), np.full(dim, 2)
            neurons = Neurons(bias=np.zeros(dim, int), threshold=np.ones(dim, int), shift=np.zeros(dim, int))
        threshold = self.config.mask_threshold
        return Mix(name=f"{name}.mix", writes=mixed, taps=taps, one=one, neurons=neurons, mask_threshold=threshold)

    def head(self) -> list[Step]:
        """The sum over the tokens and the classifier."""
        dim, pooled = self.config.dim, self.map("head", 1, self.config.dim)
        threshold = self.config.tokens * self.values("stream.threshold")
        bias = self.values("head.bias")
        return [
            Step(
                name="pool",
                kind=Kind.POOL,
                passes=self.passes,
                writes=pooled,
                outputs=dim,
                tokens=self.config.tokens,
                position=Target.SPIKES,
                position_neurons=Neurons(bias=np.zeros(dim, int), threshold=threshold, shift=np.zeros(dim, int)),
            ),
            self.linear(
                "head",
                reads=pooled,
                position=Target.LOGITS,
                # The classifier has no neuron: its threshold is never looked at.
                position_neurons=Neurons(bias=bias, threshold=np.zeros_like(bias), shift=np.zeros_like(bias)),
                logits="logits",
            ),
        ]
