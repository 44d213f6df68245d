"""The model configuration: every choice that the papers leave open, and the named configurations."""

import dataclasses
import math
from enum import StrEnum
from pathlib import Path

from golden.errors import SaformerError
from golden.files import read_settings


class Input(StrEnum):
    """What enters the network: an image, the same at every timestep, or binary frames, one for each timestep."""

    PIXELS = "pixels"
    EVENTS = "events"


class Attention(StrEnum):
    """The mechanism between the projections: SASA, or one of `golden.attention`."""

    SASA = "sasa"
    SSA = "ssa"
    SDSA = "sdsa"
    QK_TOKEN = "qk-token"
    QK_CHANNEL = "qk-channel"
    A2OS2A = "a2os2a"
    VSA = "vsa"


class NeuronKind(StrEnum):
    """The neuron whose output a layer with weights reads (`golden.neurons`)."""

    LIF = "lif"
    IF = "if"
    TERNARY = "ternary"
    RELU_COUNT = "relu-count"
    PMSM = "pmsm"


class Aggregate(StrEnum):
    """What the windows of SASA pool: currents (before the neuron) or spikes (after it)."""

    CURRENT = "current"
    SPIKE = "spike"


class Head(StrEnum):
    """How the tokens reach the classifier: through a neuron on their mean, or as their firing rate."""

    NEURON = "neuron"
    RATE = "rate"


class Reset(StrEnum):
    """What a spike does to the membrane: set it to zero, or subtract the threshold."""

    HARD = "hard"
    SOFT = "soft"


_SIZES = ("in_channels", "image_size", "classes", "timesteps", "dim", "depth", "mlp_ratio")
_POSITIVE_INTEGERS = (*_SIZES, "windows", "heads", "levels")
_SIXTEENTHS = ("attention_threshold", "aggregate_threshold", "mix_threshold")
_FLAGS = ("mix_neuron", "dwc")
_CHOICES = {
    "input": Input,
    "attention": Attention,
    "neuron": NeuronKind,
    "aggregate": Aggregate,
    "head": Head,
    "reset": Reset,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """One SAFormer.

    Parameters
    ----------
    name: used in reports and as the default file name.
    input: what enters; for events, `in_channels` are the polarities.
    in_channels, image_size: shape of the (square) images or frames.
    classes, timesteps: outputs, and steps T of the simulation.
    dim, depth, mlp_ratio: channels D of the stream, encoder blocks, hidden channels of the MLP over D.
    attention: the mechanism; what follows on windows, aggregation, the depthwise convolution and its neuron is SASA's.
    heads: of a mechanism that has heads; they divide D.
    windows: n of SASA, a square number p * p whose p divides the side of the token grid.
    pool_kernel, pool_stages: max-pool window (2, or 3 with padding 1; stride 2) and the convolutions that have one.
    aggregate, head, mix_neuron, dwc, reset: see docs/arithmetic.md, "Choices".
    neuron: of the layers; those inside an attention are binary in any case, IF with `neuron` "if" and LIF otherwise.
    decay: share of the membrane that LIF and ternary neurons keep, 1 - 1 / tau: a multiple of 1/16 below 1.
    levels: largest output of "relu-count" and "pmsm", in thresholds, at most 127; likewise of the keys of "a2os2a".
    threshold, attention_threshold: firing threshold of all neurons, and of the mask neuron (a multiple of 1/16).
    aggregate_threshold: threshold of the neurons on window means, as a share of that of all others (a multiple of
        1/16); for `aggregate` "current" only.
    mix_threshold: threshold of the neuron before the projection, likewise.
    weight_bits: bits of a signed weight, 2 to 8.

    Raises
    ------
    SaformerError: a value is impossible, or values contradict each other.
    """

    name: str
    input: Input = Input.PIXELS
    in_channels: int = 3
    image_size: int = 32
    classes: int = 10
    timesteps: int = 4
    dim: int = 64
    depth: int = 2
    mlp_ratio: int = 4
    attention: Attention = Attention.SASA
    heads: int = 8
    windows: int = 4
    pool_kernel: int = 2
    pool_stages: tuple[int, ...] = (3, 4)
    aggregate: Aggregate = Aggregate.CURRENT
    head: Head = Head.NEURON
    mix_neuron: bool = True
    dwc: bool = True
    reset: Reset = Reset.HARD
    threshold: float = 1.0
    attention_threshold: float = 0.5
    aggregate_threshold: float = 1.0
    mix_threshold: float = 1.0
    neuron: NeuronKind = NeuronKind.LIF
    decay: float = 0.5
    levels: int = 4
    weight_bits: int = 8

    def __post_init__(self):
        self._check_types()
        if self.dim % 8:
            raise SaformerError(f"dim must be a multiple of 8 (the first stage has dim / 8 channels), not {self.dim}")
        if self.dim % self.heads:
            raise SaformerError(f"heads must divide dim, {self.dim}; {self.heads} do not")
        if self.pool_kernel not in (2, 3):
            raise SaformerError(f"pool_kernel must be 2 or 3, not {self.pool_kernel!r}")
        if not 2 <= self.weight_bits <= 8:
            raise SaformerError(f"weight_bits must be 2 to 8, not {self.weight_bits!r}")
        self._check_pools()
        self._check_windows()

    def _check_types(self):
        if not isinstance(self.name, str) or not self.name:
            raise SaformerError(f"name must be a non-empty string, not {self.name!r}")
        for field in (*_POSITIVE_INTEGERS, "pool_kernel", "weight_bits"):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise SaformerError(f"{field} must be a positive integer, not {value!r}")
        for field in _FLAGS:
            if not isinstance(getattr(self, field), bool):
                raise SaformerError(f"{field} must be true or false, not {getattr(self, field)!r}")
        for field, choices in _CHOICES.items():
            object.__setattr__(self, field, choice(field, choices, getattr(self, field)))
        for field in ("threshold", *_SIXTEENTHS):
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 256:
                raise SaformerError(f"{field} must be a number above 0 and below 256, not {value!r}")
        if isinstance(self.decay, bool) or not isinstance(self.decay, int | float) or not 0 <= self.decay < 1:
            raise SaformerError(f"decay must be a number from 0 to below 1, not {self.decay!r}")
        for field in (*_SIXTEENTHS, "decay"):
            if 16 * getattr(self, field) % 1:
                raise SaformerError(f"{field} must be a multiple of 1/16, not {getattr(self, field)!r}")
        for field in ("aggregate_threshold", "mix_threshold"):
            if getattr(self, field) > 1:
                raise SaformerError(f"{field} must be at most 1, not {getattr(self, field)!r}")
        if self.levels > 127:
            raise SaformerError(f"levels must be at most 127, not {self.levels}")

    def _check_pools(self):
        stages = self.pool_stages
        if not isinstance(stages, list | tuple) or not all(type(stage) is int for stage in stages):
            raise SaformerError(f"pool_stages must be a list of integers, not {stages!r}")
        object.__setattr__(self, "pool_stages", tuple(stages))
        if list(stages) != sorted(set(stages)) or not set(stages) <= {2, 3, 4}:
            raise SaformerError(f"pool_stages must be distinct, ascending and among 2, 3 and 4, not {list(stages)!r}")
        if self.image_size % 2 ** len(stages):
            raise SaformerError(
                f"image_size {self.image_size} cannot be halved {len(stages)} times (pool_stages); "
                f"use a multiple of {2 ** len(stages)}"
            )

    def _check_windows(self):
        if self.window_side**2 != self.windows or self.grid % self.window_side:
            raise SaformerError(
                f"windows must be p * p with p dividing the token grid's side {self.grid}, not {self.windows}"
            )

    @property
    def stage_channels(self) -> tuple[int, int, int, int, int]:
        """Output channels of conv1 to conv5."""
        return (self.dim // 8, self.dim // 4, self.dim // 2, self.dim, self.dim)

    @property
    def grid(self) -> int:
        """Side of the token grid."""
        return self.image_size // 2 ** len(self.pool_stages)

    @property
    def tokens(self) -> int:
        """Number of tokens N."""
        return self.grid**2

    @property
    def window_side(self) -> int:
        """Windows along one side of the token grid."""
        return math.isqrt(self.windows)

    @property
    def window_kernel(self) -> int:
        """Side of one window, in tokens."""
        return self.grid // self.window_side

    @property
    def window_tokens(self) -> int:
        """Tokens w of one window."""
        return self.tokens // self.windows

    @property
    def hidden(self) -> int:
        """Channels between fc1 and fc2."""
        return self.dim * self.mlp_ratio

    @property
    def weight_limit(self) -> int:
        """Largest magnitude of an integer weight; the range is symmetric."""
        return 2 ** (self.weight_bits - 1) - 1

    @property
    def mask_threshold(self) -> int:
        """Threshold of the mask neuron, for the current `count << 4`."""
        unit = self.window_tokens**2 if self.aggregate is Aggregate.SPIKE else 1
        return int(16 * self.attention_threshold) * unit

    def stage_side(self, stage: int) -> int:
        """Side of the map that convolution `stage` (1 to 5) computes, before its pool."""
        return self.image_size // 2 ** sum(pooled < stage for pooled in self.pool_stages)

    def to_dict(self) -> dict:
        """Plain values only: what `from_dict` and a TOML or JSON file hold."""
        values = dataclasses.asdict(self)
        choices = {field: str(values[field]) for field in _CHOICES}
        return values | choices | {"pool_stages": list(self.pool_stages)}

    @classmethod
    def from_dict(cls, values: dict) -> "ModelConfig":
        """The configuration with these fields. Raises SaformerError for a field that does not exist."""
        if not isinstance(values, dict):
            raise SaformerError(f"a model configuration must be a table of settings, not {values!r}")
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise SaformerError(f"unknown model setting {unknown[0]!r}; the settings are {', '.join(known)}")
        if "name" not in values:
            raise SaformerError('the model configuration has no name; add: name = "..."')
        return cls(**values)


def choice(field: str, choices: type[StrEnum], value: object) -> StrEnum:
    """The member of `choices` with this value. Raises SaformerError, which names the field, if there is none."""
    try:
        return choices(value)
    except ValueError:
        raise SaformerError(f"{field} must be one of {', '.join(choices)}, not {value!r}") from None


CONFIGS = {
    config.name: config
    for config in (
        ModelConfig(name="tiny"),
        # For the smallest devices: 16 thousand weights.
        ModelConfig(name="micro", dim=24, depth=1, image_size=16, aggregate_threshold=0.25, mix_threshold=0.5),
        # As much as the serial accelerator holds on such a device: 52 thousand weights.
        ModelConfig(name="mini", dim=48, depth=1, image_size=16, mlp_ratio=2, pool_stages=(4,)),
        ModelConfig(name="4-384", dim=384, depth=4),
        ModelConfig(name="2-512", dim=512),
        ModelConfig(
            name="events",
            dim=32,
            timesteps=10,
            input=Input.EVENTS,
            in_channels=2,
            image_size=36,
            windows=9,
            aggregate_threshold=0.25,
            mix_threshold=0.5,
        ),
        ModelConfig(name="2-256", dim=256, timesteps=16, input=Input.EVENTS, in_channels=2, image_size=64, classes=11),
    )
}


def load_config(name_or_path: str | Path) -> ModelConfig:
    """The named configuration, or the one in a TOML file (its name defaults to the file's).

    Raises SaformerError: neither a name nor a file, not TOML, or a bad setting.
    """
    if str(name_or_path) in CONFIGS:
        return CONFIGS[str(name_or_path)]
    path = Path(name_or_path)
    if not path.is_file():
        raise SaformerError(f"no configuration {str(name_or_path)!r}: name one of {', '.join(CONFIGS)}, or a TOML file")
    return ModelConfig.from_dict(read_settings(path))
