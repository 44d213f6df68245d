"""Experiments: variants of one small network, trained alike, several seeds each, and measured by the integer model."""

import dataclasses
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from golden.config import Aggregate, Attention, ModelConfig
from golden.data import ImageSet, fit_set
from golden.energy.conventions import bill
from golden.energy.costs import load_costs
from golden.energy.workload import Kind, from_rates, is_real
from golden.errors import SaformerError
from golden.evaluate import count_images, evaluate, predict
from golden.integer import IntegerModel
from golden.model import SAFormer
from golden.plan import Stage, TrainPlan
from golden.train import run_training, train_network

TRIAL = ModelConfig(
    name="trial", dim=32, depth=2, image_size=16, pool_stages=(4,), aggregate_threshold=0.25, mix_threshold=0.5
)
"""The network of the experiments: 16x16 images, 64 tokens, two blocks, four timesteps; minutes of training."""

STAGES = (
    Stage(name="one-step", epochs=5, timesteps=1, rate=3e-3, final_rate=1e-3),
    Stage(name="all-steps", epochs=1, timesteps=4, rate=1e-3),
    Stage(name="quantised", epochs=1, timesteps=4, rate=3e-4, quantised=True),
)
TRAINING_IMAGES, TEST_IMAGES, VALIDATION_IMAGES = 10_000, 2_000, 1_000
SEEDS = (1, 2, 3)
BATCH = 32
"""Small, for many steps of few images."""
_COUNTED = 200
"""Test images whose attention is counted with a pooled query."""
_INSIDE = (".q", ".k", ".v", ".mix", ".attend")
# Divides the test images, so that the mean over batches is that over images.
_REAL_BATCH = 20
# No count of windows reaches it: the mask never fires.
_UNREACHABLE = 255.9375


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """A question, and the variants that answer it: by name, what they change in the configuration, or in the plan.

    `axis` is the field of the configuration, a number, that the variants differ in, if there is one.

    Raises SaformerError: a variant is no valid configuration, or changes what does not exist.
    """

    name: str
    question: str
    variants: Mapping[str, Mapping[str, object]]
    axis: str | None = None
    base: ModelConfig = TRIAL
    stages: tuple[Stage, ...] = STAGES

    def __post_init__(self):
        for variant, changes in self.variants.items():
            self.config(variant)
            if unknown := sorted(set(changes) - set(_fields(ModelConfig)) - set(_fields(TrainPlan))):
                raise SaformerError(f"{variant} changes {unknown[0]}, which neither a configuration nor a plan has")

    def config(self, variant: str) -> ModelConfig:
        """The configuration of a variant."""
        return dataclasses.replace(self.base, **self._changes(variant, ModelConfig))

    def _changes(self, variant: str, what: type) -> dict[str, object]:
        return {name: value for name, value in self.variants[variant].items() if name in _fields(what)}

    def plan(self, variant: str, seed: int) -> TrainPlan:
        """How a variant is trained; its own timesteps take the place of the base's."""
        config = self.config(variant)
        steps = {stage.name: config.timesteps if stage.timesteps > 1 else 1 for stage in self.stages}
        stages = tuple(dataclasses.replace(stage, timesteps=steps[stage.name]) for stage in self.stages)
        settings = {"batch": BATCH, "validation": VALIDATION_IMAGES, "warmup": 100} | self._changes(variant, TrainPlan)
        return TrainPlan(config=config, stages=stages, seed=seed, **settings)

    def key(self, variant: str, seed: int) -> str:
        """What decides a run, as text: experiments share runs with the same."""
        return repr(self.plan(variant, seed))

    def run(self, variant: str, seed: int, *, training: ImageSet, test: ImageSet, folder: Path) -> dict:
        """See `run_plan`."""
        return run_plan(self.plan(variant, seed), training=training, test=test, folder=folder)


def _fields(what: type) -> list[str]:
    return [field.name for field in dataclasses.fields(what)]


_OTHERS = ("SSA", "SDSA", "QK-token", "QK-channel", "A2OS2A", "VSA")

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
                "the same, quiet convolution": {"convolution_gain": 0.25},
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
            variants={"SASA": {}, **{name: {"attention": name.lower()} for name in _OTHERS}},
        ),
        Experiment(
            name="neurons",
            question="Neurons of the layers, trained alike.",
            variants={
                "LIF": {},
                "LIF, soft reset": {"reset": "soft"},
                "LIF, decay 3/4": {"decay": 0.75},
                "IF": {"neuron": "if"},
                "ternary": {"neuron": "ternary"},
                "ReLU count": {"neuron": "relu-count"},
                "PMSM": {"neuron": "pmsm"},
            },
        ),
        Experiment(
            name="aggregation",
            question="Accuracy, operations and memory against the number of windows n (figure 6).",
            variants={f"n = {n}": {"windows": n} for n in (1, 4, 16, 64)},
            axis="windows",
        ),
        Experiment(
            name="timesteps",
            question="Accuracy and energy against the timesteps T (figure 5).",
            variants={f"T = {steps}": {"timesteps": steps} for steps in (1, 2, 4, 6)},
            axis="timesteps",
        ),
        Experiment(
            name="weights",
            question="Accuracy against the bits of a weight.",
            variants={f"W{bits}": {"weight_bits": bits} for bits in (8, 4, 2)},
        ),
    )
}


def run_plan(plan: TrainPlan, *, training: ImageSet, test: ImageSet, folder: Path) -> dict:
    """Train a network, or go on where `folder` has a checkpoint of it, and measure its integer model."""
    started = time.monotonic()
    train, measured = (train_network, measure_real) if is_real(plan.config) else (run_training, measure)
    model, history = train(plan, data=fit_set(training, plan.config), folder=folder, progress=False)
    return {
        **measured(model, fit_set(test, plan.config)),
        "seconds": round(time.monotonic() - started),
        "history": history,
    }


def measure(model: IntegerModel, test: ImageSet) -> dict:
    """What is compared: accuracy, with and without the mask, work and energy for each image."""
    config, figures = model.config, evaluate(model, test.images, test.labels)
    aggregates = config.attention is Attention.SASA
    return {
        "accuracy": figures["accuracy"],
        "accuracy_without_mask": _without_mask(model, test) if aggregates else None,
        "mask_rate": figures["mask_rate"],
        "accumulates": sum(layer["sops"] + layer["additions"] for layer in figures["layers"]) / figures["images"],
        "attention": _attention_operations(model, test.images[:_COUNTED]),
        "aggregate_bits": 2 * config.timesteps * config.windows * config.dim if aggregates else None,
        "eq19_mj": figures["energy_mj"]["eq19"],
    }


def _attention_operations(model: IntegerModel, images: Tensor) -> float:
    """Operations of the attentions for each image, with their projections; Q is pooled where it can be."""
    pooled = model.config.attention is Attention.SASA and model.config.aggregate is Aggregate.CURRENT
    counts = count_images(model, images, pooled_query=pooled)
    inside = [layer for layer in counts.layers if layer.layer.name.endswith(_INSIDE)]
    hits = sum(int(value.sum()) for value in counts.hits.values())
    return (sum(int(layer.sops.sum()) + layer.additions for layer in inside) + hits) / len(images)


def measure_real(network: SAFormer, test: ImageSet) -> dict:
    """The same of a quantised training model whose attention is of real numbers, from the rates of its neurons."""
    config, network = network.config, network.eval()
    rates = {place: [] for place in _places(config).values()}

    def record(place: str) -> Callable:
        return lambda _module, _inputs, output: rates[place].append(float(output.ne(0).float().mean()))

    hooks = [network.get_submodule(place).register_forward_hook(record(place)) for place in rates]
    with torch.no_grad():
        scores = torch.cat([network.scores(some.float()) for some in test.images.split(_REAL_BATCH)])
    for hook in hooks:
        hook.remove()
    mean = {name: sum(rates[place]) / len(rates[place]) for name, place in _places(config).items()}
    work = from_rates(config, lambda layer: mean.get(layer.input, 0.0))
    return {
        "accuracy": int((scores.argmax(dim=1) == test.labels).sum()) / len(test),
        "accuracy_without_mask": None,
        "mask_rate": {},
        "accumulates": sum(layer.executed for layer in work.layers if layer.kind is Kind.AC),
        "attention": sum(layer.executed for layer in work.layers if layer.name.endswith(_INSIDE)),
        "aggregate_bits": None,
        "eq19_mj": bill(work, load_costs())["eq19"],
    }


def _places(config: ModelConfig) -> Mapping[str, str]:
    """The modules that put out what the layers read, by its name in a trace."""
    places = {f"conv{stage}": f"sps.conv{stage}.neuron" for stage in range(1, 5)} | {"head": "head_neuron"}
    for block in (f"blocks.{index}" for index in range(config.depth)):
        places |= {f"{block}.{name}": f"{block}.{name}" for name in ("input", "mlp_input")}
        places[f"{block}.fc1"] = f"{block}.fc1.neuron"
    return places


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
