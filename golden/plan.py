"""What a training run does: its stages, and everything else that determines it."""

import dataclasses

from golden.config import Input, ModelConfig
from golden.errors import SaformerError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """Some epochs with one learning-rate schedule: linear warm-up, then a cosine from `rate` to `final_rate`."""

    name: str
    epochs: int
    timesteps: int
    rate: float
    final_rate: float = 0.0
    quantised: bool = False

    def __post_init__(self):
        for field in ("epochs", "timesteps"):
            if getattr(self, field) < 1:
                raise SaformerError(f"{field} of stage {self.name} must be at least 1, not {getattr(self, field)!r}")
        if not 0 <= self.final_rate <= self.rate:
            raise SaformerError(f"stage {self.name} needs 0 <= final_rate <= rate, not {self.final_rate}, {self.rate}")


def default_stages(config: ModelConfig) -> tuple[Stage, ...]:
    """The schedule the bundled model was trained with."""
    return (
        Stage(name="one-step", epochs=32, timesteps=1, rate=3e-3, final_rate=3e-4),
        Stage(name="all-steps", epochs=9, timesteps=config.timesteps, rate=1e-3),
        Stage(name="quantised", epochs=3, timesteps=config.timesteps, rate=3e-4, quantised=True),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """Everything that determines a training run.

    Parameters
    ----------
    config, stages: the model, and what to do; the last stage must be the quantised one, and the only one.
    batch, seed, weight_decay, label_smoothing: the usual.
    validation: images of the training split that are held out, and choose the epoch that is exported.
    warmup: steps of linear warm-up at the start of every stage.
    checkpoint_every: steps between checkpoints (there is one at the end of every epoch, too).
    mirror: mirror half of the training images; not for what has a left and a right, such as digits.
    rotation, zoom: most degrees and most share of the size by which training images are turned and scaled.
    attention_gain: what the weights of the batch norms of Q, K and V start at. A neuron that keeps half of its membrane
        sees half of a current at once; 2 makes up for it, so that Q and K fire from the beginning and the mask lives.
    convolution_gain: likewise of SASA's depthwise convolution; where it starts quietly, masked keys are heard first.
    bfloat16: compute in bfloat16 before the quantised stage, whose integers need float32. Faster only where there are
        instructions for it (`golden.train.has_bfloat16`); elsewhere it is several times slower.
    data: what it is trained on, and by which split; for the record.
    erase: share of the training images that get a rectangle of random pixels; for pixels.
    rand_operations, rand_magnitude: changes of RandAugment to every image, 0 for none, and their strength, 1 to 30; for
        pixels of three channels.
    mixup: parameter of the beta distribution by which images are mixed with others; 0 for none; for pixels.
    start: digest of the model that training goes on from, if there is one.
    teacher: digest of the network that teaches, if there is one.
    teacher_share, temperature: weight of the loss against the teacher, that of the labels being the rest, and what the
        logits of both are divided by in it (G. Hinton et al., 2015).
    """

    config: ModelConfig
    stages: tuple[Stage, ...]
    batch: int = 128
    seed: int = 1
    validation: int = 2000
    weight_decay: float = 0.02
    label_smoothing: float = 0.05
    warmup: int = 200
    checkpoint_every: int = 500
    mirror: bool = True
    rotation: float = 0.0
    zoom: float = 0.0
    attention_gain: float = 2.0
    convolution_gain: float = 1.0
    bfloat16: bool = False
    data: str = ""
    rand_operations: int = 0
    rand_magnitude: int = 9
    erase: float = 0.0
    mixup: float = 0.0
    start: str = ""
    teacher: str = ""
    teacher_share: float = 0.5
    temperature: float = 2.0

    def __post_init__(self):
        for field in ("batch", "validation", "checkpoint_every"):
            if getattr(self, field) < 1:
                raise SaformerError(f"{field} must be at least 1, not {getattr(self, field)!r}")
        if not 0 <= self.rotation <= 180 or not 0 <= self.zoom < 1:
            raise SaformerError(
                f"rotation must be 0 to 180 degrees and zoom a share below 1, not {self.rotation!r} and {self.zoom!r}"
            )
        for field in ("erase", "teacher_share"):
            if not 0 <= getattr(self, field) <= 1:
                raise SaformerError(f"{field} must be a share from 0 to 1, not {getattr(self, field)!r}")
        if self.mixup < 0:
            raise SaformerError(f"mixup must be at least 0, not {self.mixup!r}")
        if (self.erase or self.mixup) and self.config.input is not Input.PIXELS:
            raise SaformerError("erase and mixup change pixels: they are not for models with event input")
        if self.rand_operations < 0 or not 1 <= self.rand_magnitude <= 30:
            raise SaformerError(
                "RandAugment needs a number of changes from 0 on and a magnitude from 1 to 30, "
                f"not {self.rand_operations!r} and {self.rand_magnitude!r}"
            )
        if self.rand_operations and (self.config.input is not Input.PIXELS or self.config.in_channels != 3):
            raise SaformerError("RandAugment changes colours: it is not for models without images of three channels")
        for field in ("attention_gain", "convolution_gain", "temperature"):
            if getattr(self, field) <= 0:
                raise SaformerError(f"{field} must be above 0, not {getattr(self, field)!r}")
        if [stage.quantised for stage in self.stages] != [False] * (len(self.stages) - 1) + [True]:
            raise SaformerError("the last stage of a training plan, and only the last, must be quantised")
