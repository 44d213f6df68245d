"""Experiments: variants of one small network, trained alike, several seeds each, and measured by the integer model."""

import dataclasses
import platform
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from golden.config import Attention, ModelConfig
from golden.data import ImageSet, fit_images
from golden.errors import SaformerError
from golden.evaluate import evaluate, predict
from golden.integer import IntegerModel
from golden.plan import Stage, TrainPlan
from golden.train import run_training

TRIAL = ModelConfig(
    name="trial", dim=32, depth=2, image_size=16, pool_stages=(4,), aggregate_threshold=0.25, mix_threshold=0.5
)
"""The network of the experiments: 16x16 images, 64 tokens, two blocks, four timesteps; minutes of training."""

STAGES = (
    Stage(name="one-step", epochs=3, timesteps=1, rate=3e-3, final_rate=1e-3),
    Stage(name="all-steps", epochs=1, timesteps=4, rate=1e-3),
    Stage(name="quantised", epochs=1, timesteps=4, rate=3e-4, quantised=True),
)
TRAINING_IMAGES, TEST_IMAGES, VALIDATION_IMAGES = 20_000, 2_000, 1_000
SEEDS = (1, 2, 3)
# No count of windows reaches it: the mask never fires.
_UNREACHABLE = 255.9375


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """A question, and the variants that answer it: by name, what they change in the configuration, or in the plan.

    Raises SaformerError: a variant is no valid configuration.
    """

    name: str
    question: str
    variants: Mapping[str, Mapping[str, object]]
    base: ModelConfig = TRIAL
    stages: tuple[Stage, ...] = STAGES

    def __post_init__(self):
        for variant in self.variants:
            self.config(variant)

    def config(self, variant: str) -> ModelConfig:
        """The configuration of a variant."""
        return dataclasses.replace(self.base, **self._changes(variant, ModelConfig))

    def _changes(self, variant: str, what: type) -> dict[str, object]:
        fields = {field.name for field in dataclasses.fields(what)}
        return {name: value for name, value in self.variants[variant].items() if name in fields}

    def plan(self, variant: str, seed: int) -> TrainPlan:
        """How a variant is trained; its own timesteps take the place of the base's."""
        config = self.config(variant)
        steps = {stage.name: config.timesteps if stage.timesteps > 1 else 1 for stage in self.stages}
        stages = tuple(dataclasses.replace(stage, timesteps=steps[stage.name]) for stage in self.stages)
        settings = {"validation": VALIDATION_IMAGES, "warmup": 50} | self._changes(variant, TrainPlan)
        return TrainPlan(config=config, stages=stages, seed=seed, **settings)


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            name="mask",
            question="When does the mask of SASA fire, and does the network use it?",
            variants={
                "as the paper reads": {"aggregate_threshold": 1.0, "mix_threshold": 1.0, "attention_gain": 1.0},
                "lower thresholds": {"attention_gain": 1.0},
                "lower thresholds, larger Q and K": {},
            },
        ),
        Experiment(
            name="ablation",
            question="What the depthwise convolution and the aggregation of SASA are worth (table 3).",
            variants={
                "SDSA": {"attention": "sdsa"},
                "without DWC": {"dwc": False},
                "without A": {"windows": 64},
                "without both": {"windows": 64, "dwc": False},
                "SASA": {},
            },
        ),
        Experiment(
            name="mechanisms",
            question="Spiking attention mechanisms, trained alike.",
            variants={
                "SASA": {},
                **{name: {"attention": name.lower()} for name in ("SSA", "SDSA", "QK-token", "QK-channel")},
            },
        ),
        Experiment(
            name="aggregation",
            question="Accuracy, operations and memory against the number of windows n (figure 6).",
            variants={f"n = {n}": {"windows": n} for n in (1, 4, 16, 64)},
        ),
        Experiment(
            name="timesteps",
            question="Accuracy and energy against the timesteps T (figure 5).",
            variants={f"T = {steps}": {"timesteps": steps} for steps in (1, 2, 4, 6)},
        ),
        Experiment(
            name="weights",
            question="Accuracy against the bits of a weight.",
            variants={f"W{bits}": {"weight_bits": bits} for bits in (8, 4, 2)},
        ),
    )
}


def find_experiment(name: str) -> Experiment:
    """An experiment by its name. Raises SaformerError for one that does not exist."""
    if name not in EXPERIMENTS:
        raise SaformerError(f"no experiment {name!r}: use one of {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]


def fit_set(images: ImageSet, config: ModelConfig) -> ImageSet:
    """Images brought to the size and the channels of a configuration."""
    return dataclasses.replace(
        images, images=fit_images(images.images, channels=config.in_channels, size=config.image_size)
    )


def run_plan(plan: TrainPlan, *, training: ImageSet, test: ImageSet, folder: Path) -> dict:
    """Train a network, or go on where `folder` has a checkpoint of it, and measure its integer model."""
    started = time.monotonic()
    model, history = run_training(plan, data=fit_set(training, plan.config), folder=folder, progress=False)
    return {
        **measure(model, fit_set(test, plan.config)),
        "seconds": round(time.monotonic() - started),
        "history": history,
    }


def measure(model: IntegerModel, test: ImageSet) -> dict:
    """What is compared: accuracy, with and without the mask, work and energy for each image."""
    figures = evaluate(model, test.images, test.labels)
    return {
        "accuracy": figures["accuracy"],
        "accuracy_without_mask": _without_mask(model, test) if model.config.attention is Attention.SASA else None,
        "mask_rate": figures["mask_rate"],
        "accumulates": sum(layer["sops"] for layer in figures["layers"]) / figures["images"],
        "eq19_mj": figures["energy_mj"]["eq19"],
    }


def _without_mask(model: IntegerModel, test: ImageSet) -> float:
    config = dataclasses.replace(model.config, attention_threshold=_UNREACHABLE)
    predictions = predict(IntegerModel(config=config, tensors=model.tensors), test.images)
    return int((predictions == test.labels).sum()) / len(test)


def versions() -> dict[str, str]:
    """What the numbers depend on besides the project."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "threads": str(torch.get_num_threads()),
    }
