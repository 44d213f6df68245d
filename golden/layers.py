"""The layers of a model in the order in which they run: what the counts and the hardware lowering walk over."""

from dataclasses import dataclass
from enum import StrEnum

from golden.attention.registry import find_mechanism
from golden.config import Input, ModelConfig


class LayerKind(StrEnum):
    """What a layer does with its input."""

    PIXEL_CONV = "pixel-conv"
    CONV = "conv"
    LINEAR = "linear"
    MIX = "mix"
    ATTEND = "attend"
    POOL = "pool"
    CLASSIFIER = "classifier"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer.

    Members
    -------
    name, kind: "conv1" to "conv5", "blocks.i.q", ".k", ".mix", ".proj", ".fc1", ".fc2", "pool" (the head's neuron)
        and "head" (the classifier); with other attention than SASA ".v", where it has values, and ".attend" for ".mix".
    input: name in the trace of what it reads; "pixels", which is not there, for conv1 of an image.
    outputs: names in the trace of what it produces.
    inputs, channels: input and output channels.
    kernel: side of the convolution window, 1 for a linear map.
    side: side of the map at which it computes, before its pool.
    pooled: a max-pool follows.
    attends: operations of an attention at one timestep if everything fires.
    """

    name: str
    kind: LayerKind
    input: str
    outputs: tuple[str, ...]
    inputs: int
    channels: int
    kernel: int = 1
    side: int
    pooled: bool = False
    attends: int = 0

    @property
    def fan_in(self) -> int:
        """Weights of one output: input channels times window, 9 for the depthwise convolution, 0 without weights."""
        if self.kind in (LayerKind.POOL, LayerKind.ATTEND):
            return 0
        return self.kernel**2 * (1 if self.kind is LayerKind.MIX else self.inputs)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense layer, or operations of an attention, per image and timestep."""
        return self.attends or self.fan_in * self.channels * self.side**2


def _patch_splitting(config: ModelConfig) -> list[Layer]:
    channels = (config.in_channels, *config.stage_channels)
    pixels = config.input is Input.PIXELS
    inputs = ("pixels" if pixels else "frames", "conv1", "conv2", "conv3", "conv4")
    layers = []
    for stage in range(1, 6):
        outputs = {4: ("conv4", "stream.conv4"), 5: ("stream.conv5",)}.get(stage, (f"conv{stage}",))
        layers.append(
            Layer(
                name=f"conv{stage}",
                kind=LayerKind.PIXEL_CONV if stage == 1 and pixels else LayerKind.CONV,
                input=inputs[stage - 1],
                outputs=outputs,
                inputs=channels[stage - 1],
                channels=channels[stage],
                kernel=3,
                side=config.stage_side(stage),
                pooled=stage in config.pool_stages,
            )
        )
    return layers


def _block(config: ModelConfig, index: int) -> list[Layer]:
    dim, hidden = config.dim, config.hidden

    def layer(name: str, source: str, outputs: tuple[str, ...], inputs: int, channels: int, **extra: object) -> Layer:
        settings = {"kind": LayerKind.LINEAR, "side": config.grid} | extra
        return Layer(
            name=f"blocks.{index}.{name}",
            input=f"blocks.{index}.{source}",
            outputs=tuple(f"blocks.{index}.{output}" for output in outputs),
            inputs=inputs,
            channels=channels,
            **settings,
        )

    if mechanism := find_mechanism(config):
        work = mechanism.operations(config)
        attention = [
            *(layer(part, "input", (part,), dim, dim) for part in mechanism.parts),
            layer("attend", "q", ("mix",), dim, dim, kind=LayerKind.ATTEND, attends=work),
        ]
    else:
        mix_kernel = 3 if config.dwc else 1
        attention = [
            layer("q", "input", ("qa",), dim, dim),
            layer("k", "input", ("ka", "k"), dim, dim),
            layer("mix", "k", ("mask", "mix"), dim, dim, kind=LayerKind.MIX, kernel=mix_kernel),
        ]
    return [
        *attention,
        layer("proj", "mix", ("stream.proj",), dim, dim),
        layer("fc1", "mlp_input", ("fc1",), dim, hidden),
        layer("fc2", "fc1", ("stream.fc2",), hidden, dim),
    ]


def layers(config: ModelConfig) -> list[Layer]:
    """All layers in order. LIF(U), a block's "input" and "mlp_input", belongs to the layers that read it."""
    blocks = [layer for index in range(config.depth) for layer in _block(config, index)]
    pool = Layer(
        name="pool",
        kind=LayerKind.POOL,
        input=f"blocks.{config.depth - 1}.stream.fc2",
        outputs=("head",),
        inputs=config.dim,
        channels=config.dim,
        side=config.grid,
    )
    head = Layer(
        name="head",
        kind=LayerKind.CLASSIFIER,
        input="head",
        outputs=("logits",),
        inputs=config.dim,
        channels=config.classes,
        side=1,
    )
    return [*_patch_splitting(config), *blocks, pool, head]
