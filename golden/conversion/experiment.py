"""The experiment on conversion: quantised networks, with and without polarity, and what becomes of them over time."""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path

from golden.config import ModelConfig
from golden.conversion.config import ConversionConfig
from golden.conversion.measure import report
from golden.conversion.recipe import ConversionRecipe
from golden.data import ImageSet, fit_set
from golden.errors import SaformerError
from golden.experiment import BATCH, VALIDATION_IMAGES
from golden.plan import Stage, TrainPlan
from golden.train import train_network

TRIAL = ModelConfig(name="trial", neuron="pmsm", dim=32, depth=2, image_size=16, pool_stages=(4,), timesteps=1)
STAGES = (
    Stage(name="quantised", epochs=6, timesteps=1, rate=3e-3, final_rate=1e-3),
    Stage(name="adjusted", epochs=3, timesteps=1, rate=1e-3, quantised=True),
)
TIMESTEPS = (1, 2, 4)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConversionExperiment:
    """A question on converted networks, and its variants: what they change in `base`, or in its conversion.

    Raises SaformerError: a variant is no valid configuration, or changes what does not exist.
    """

    name: str
    question: str
    variants: Mapping[str, Mapping[str, object]]
    base: ModelConfig = TRIAL
    stages: tuple[Stage, ...] = STAGES

    def __post_init__(self):
        for variant, changes in self.variants.items():
            known = {field.name for what in (ModelConfig, ConversionConfig) for field in dataclasses.fields(what)}
            if unknown := sorted(set(changes) - known):
                raise SaformerError(f"{variant} changes {unknown[0]}, which no configuration has")
            self.config(variant)

    def config(self, variant: str) -> ConversionConfig:
        """The conversion of a variant."""
        changes = self.variants[variant]
        own = {field.name for field in dataclasses.fields(ConversionConfig)}
        model = dataclasses.replace(self.base, **{name: changes[name] for name in changes if name not in own})
        return ConversionConfig(model=model, **{name: changes[name] for name in changes if name in own})

    def plan(self, variant: str, seed: int) -> TrainPlan:
        """How its network is trained."""
        settings = {"batch": BATCH, "validation": VALIDATION_IMAGES, "warmup": 100}
        return TrainPlan(config=self.config(variant).model, stages=self.stages, seed=seed, **settings)

    def key(self, variant: str, seed: int) -> str:
        """What decides a run, as text."""
        return f"{self.plan(variant, seed)!r} {self.config(variant)!r}"

    def run(self, variant: str, seed: int, *, training: ImageSet, test: ImageSet, folder: Path) -> dict:
        """Train a network, or go on where `folder` has a checkpoint of it, convert it and measure what comes out.

        Keys: those of `golden.conversion.measure.report`, seconds and history.
        """
        started, config = time.monotonic(), self.config(variant)
        network, history = train_network(
            self.plan(variant, seed),
            data=fit_set(training, config.model),
            folder=folder,
            progress=False,
            recipe=ConversionRecipe(config),
        )
        figures = report(network.eval(), images=fit_set(test, config.model), steps=TIMESTEPS)
        return figures | {"seconds": round(time.monotonic() - started), "history": history}


_POLARITY = {"levels": 4, "negative_levels": 4}
_NONE = {"levels": 8, "negative_levels": 0}

CONVERSION = ConversionExperiment(
    name="conversion",
    question="Quantised networks of nine levels, with and without negative ones, converted to spikes.",
    variants={
        f"{network}, {words} polarity": changes | levels
        for network, changes in (
            ("VGG", {"network": "vgg", "pool_stages": [3, 4], "dim": 64}),
            ("SAFormer", {"network": "saformer"}),
            ("small ViT", {"network": "saformer", "attention": "vsa"}),
        )
        for words, levels in (("with", _POLARITY), ("without", _NONE))
    },
)
