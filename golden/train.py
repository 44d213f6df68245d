"""Training in stages: one timestep, all timesteps, then quantisation-aware; resumable at every checkpoint.

Nothing random is carried from step to step: the order of the data and the augmentation are functions of the seed, the
stage and the step, so a run that was killed and resumed is the run that was not.
"""

import dataclasses
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from golden.augment import augment, erase, mix, rand_augment
from golden.checkpoint import load_checkpoint, save_checkpoint
from golden.container import save_model
from golden.data import ImageSet, check_images
from golden.errors import SaformerError
from golden.files import write_atomically
from golden.integer import IntegerModel
from golden.plan import Stage, TrainPlan
from golden.processor import has_instructions
from golden.quantise import export
from golden.recipe import SPIKING, Recipe
from golden.tensors import tensor_specs

# Tells the generator of a step's augmentation from that of an epoch's order.
_AUGMENTATION = 1 << 20
_PROGRESS = ("history", "best", "loss_sum", "seconds", "before")


@dataclasses.dataclass
class _Run:
    """What a checkpoint holds: the position, the model and its optimiser, and the history so far."""

    plan: TrainPlan
    recipe: Recipe
    stage: int
    step: int
    model: nn.Module
    optimiser: torch.optim.Optimizer
    history: list[dict]
    best: dict | None = None
    loss_sum: float = 0.0
    seconds: float = 0.0
    before: float = 0.0  # seconds of the stages before
    teacher: nn.Module | None = None

    @property
    def current(self) -> Stage:
        return self.plan.stages[self.stage]


def run_training(
    plan: TrainPlan,
    *,
    data: ImageSet,
    folder: Path,
    device: str = "cpu",
    on_step: Callable[[int], None] | None = None,
    progress: bool = True,
    teacher: nn.Module | None = None,
    recipe: Recipe = SPIKING,
) -> tuple[IntegerModel, list[dict]]:
    """Train `plan` on the training split `data`, or continue what `folder` has a checkpoint of.

    Writes checkpoint.pt, history.json and, at the end, NAME.safetensors to `folder`. `device` is what computes, "cpu"
    or "cuda": checkpoints are the same, sums are not to the last bit. `on_step` is called with the number of steps done
    in the stage after each of them. `teacher` is the network that the plan names, called as `SAFormer` is; `recipe`
    makes a SAFormer. Returns the integer model and the history.

    Raises SaformerError: an attention without an integer form, images of another shape than the configuration's, fewer
    images than the plan needs, or a checkpoint of another plan.
    """
    tensor_specs(plan.config)
    settings = {"device": device, "on_step": on_step, "progress": progress, "teacher": teacher, "recipe": recipe}
    network, history = train_network(plan, data=data, folder=folder, **settings)
    model = export(network)
    save_model(model, folder / f"{plan.config.name}.safetensors", training=training_record(plan, history))
    return model, history


def train_network(
    plan: TrainPlan,
    *,
    data: ImageSet,
    folder: Path,
    device: str = "cpu",
    on_step: Callable[[int], None] | None = None,
    progress: bool = True,
    teacher: nn.Module | None = None,
    recipe: Recipe = SPIKING,
) -> tuple[nn.Module, list[dict]]:
    """The same, but for the integer model: returns the network of the last stage, in main memory."""
    check_images(plan.config, data.images)
    _check_device(device)
    training, validation = (part.to(device) for part in split(plan, data))
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.is_file():
        run = _resume(plan, recipe, load_checkpoint(checkpoint), device)
    else:
        run = _start(plan, recipe, training, device)
    run.teacher = None if teacher is None else teacher.eval().to(device)
    while True:
        _run_stage(run, training, validation, checkpoint, on_step, progress)
        if run.stage + 1 == len(plan.stages):
            break
        run = _next_stage(run, training, device)
    run.model.load_state_dict(run.best["model"])
    return run.model.cpu(), run.history


def training_record(plan: TrainPlan, history: list[dict]) -> dict:
    """What a container keeps of its training: the plan without the model, and the history."""
    settings = dataclasses.asdict(plan)
    settings.pop("config")
    return {"plan": settings, "history": history}


def has_bfloat16(device: str) -> bool:
    """Whether a device, "cpu" or "cuda", has instructions for sums of products in bfloat16."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return has_instructions("avx512_bf16", "amx_bf16")


def _check_device(device: str) -> None:
    if device != "cpu":
        if not torch.cuda.is_available():
            raise SaformerError(f"no CUDA device is there to train on {device}; use cpu")
        # Integers of a quantised layer are exact in float32, but not in what a GPU takes for it by itself.
        torch.backends.cudnn.allow_tf32 = False


def split(plan: TrainPlan, data: ImageSet) -> tuple[ImageSet, ImageSet]:
    """The images that are trained on, and those held out for validation: a function of the plan's seed.

    Raises SaformerError: fewer images than the plan needs.
    """
    if len(data) < plan.validation + plan.batch:
        raise SaformerError(
            f"the plan needs {plan.validation} images for validation and a batch of {plan.batch}, "
            f"but the training split has {len(data)}; lower validation or batch"
        )
    order = torch.randperm(len(data), generator=_generator(plan.seed))
    return data.take(order[plan.validation :]), data.take(order[: plan.validation])


def _generator(*numbers: int) -> torch.Generator:
    """A generator seeded by several small numbers."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number + 1) % 2**63
    return torch.Generator().manual_seed(seed)


def _optimiser(plan: TrainPlan, model: nn.Module) -> torch.optim.Optimizer:
    parameters = list(model.parameters())
    weights = [parameter for parameter in parameters if parameter.ndim > 1]
    others = [parameter for parameter in parameters if parameter.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": weights, "weight_decay": plan.weight_decay}, {"params": others, "weight_decay": 0.0}]
    )


def _start(plan: TrainPlan, recipe: Recipe, training: ImageSet, device: str) -> _Run:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        model = recipe.build(plan)
    model = _on(device, recipe.prepare(model, plan.stages[0], training.images))
    return _Run(plan=plan, recipe=recipe, stage=0, step=0, model=model, optimiser=_optimiser(plan, model), history=[])


def _on(device: str, model: nn.Module) -> nn.Module:
    return model.to(device, memory_format=torch.channels_last)


def _next_stage(run: _Run, training: ImageSet, device: str) -> _Run:
    stage = run.stage + 1
    model = _on(device, run.recipe.prepare(run.model.cpu(), run.plan.stages[stage], training.images))
    kept = {key: getattr(run, key) for key in ("plan", "recipe", "teacher", "history", "seconds")}
    kept |= {"before": run.seconds}
    return _Run(stage=stage, step=0, model=model, optimiser=_optimiser(run.plan, model), **kept)


def _resume(plan: TrainPlan, recipe: Recipe, state: dict, device: str) -> _Run:
    stage = state["stage"]
    done = [dataclasses.asdict(each) for each in plan.stages[: stage + 1]]
    if done != state["stages"] or _settings(plan, recipe) != state["settings"]:
        raise SaformerError("the checkpoint belongs to another plan; train in another folder, or repeat its settings")
    model = _on(device, recipe.prepare(recipe.build(plan), plan.stages[stage], None))
    model.load_state_dict(state["model"])
    optimiser = _optimiser(plan, model)
    optimiser.load_state_dict(state["optimiser"])
    kept = {key: state[key] for key in ("step", *_PROGRESS)}
    return _Run(plan=plan, recipe=recipe, stage=stage, model=model, optimiser=optimiser, **kept)


def _settings(plan: TrainPlan, recipe: Recipe) -> dict:
    """What decides a run besides the stages."""
    other = ("config", "stages", "checkpoint_every")
    settings = {name: value for name, value in vars(plan).items() if name not in other}
    return settings | recipe.settings() | {"config": plan.config.to_dict()}


def _save(run: _Run, path: Path) -> None:
    state = {
        "stages": [dataclasses.asdict(stage) for stage in run.plan.stages[: run.stage + 1]],
        "settings": _settings(run.plan, run.recipe),
        "model": run.model.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        **{key: getattr(run, key) for key in ("stage", "step", *_PROGRESS)},
    }
    save_checkpoint(path, state)
    text = json.dumps(run.history, indent=1).encode()
    write_atomically(path.with_name("history.json"), lambda file: file.write(text))


def _run_stage(
    run: _Run,
    training: ImageSet,
    validation: ImageSet,
    checkpoint: Path,
    on_step: Callable[[int], None] | None,
    progress: bool,
) -> None:
    plan, per_epoch = run.plan, len(training) // run.plan.batch
    total = run.current.epochs * per_epoch
    started = time.monotonic() - run.seconds
    bar = tqdm(desc=run.current.name, initial=run.step, total=total, disable=not progress, mininterval=2)
    while run.step < total:
        epoch, position = divmod(run.step, per_epoch)
        order = _order(run, epoch, len(training))
        for start in range(position, per_epoch):
            chosen = order[start * plan.batch : (start + 1) * plan.batch]
            run.loss_sum += _train_step(run, training.take(chosen), total=total)
            run.step, run.seconds = run.step + 1, time.monotonic() - started
            if start + 1 == per_epoch:
                _end_epoch(run, epoch, per_epoch, validation)
                _show(bar, run.history[-1])
            if start + 1 == per_epoch or run.step % plan.checkpoint_every == 0:
                _save(run, checkpoint)
            bar.update()
            if on_step is not None:
                on_step(run.step)
    bar.close()


def step_seconds(plan: TrainPlan, *, training: ImageSet, device: str = "cpu", recipe: Recipe = SPIKING) -> list[float]:
    """Seconds of a step in every stage, measured on the second of two with a network that is thrown away.

    `training` is what `split` chooses to train on.
    """
    _check_device(device)
    run, seconds = _start(plan, recipe, training, device), []
    batch = training.select(count=plan.batch).to(device)
    for stage in plan.stages:
        for _ in range(2):
            started = time.monotonic()
            _train_step(run, batch, total=2)
        seconds.append(time.monotonic() - started)
        run = run if stage is plan.stages[-1] else _next_stage(run, training, device)
    return seconds


def _show(bar: tqdm, record: dict) -> None:
    if not bar.disable:
        bar.write(json.dumps(record))


def _order(run: _Run, epoch: int, count: int) -> Tensor:
    return torch.randperm(count, generator=_generator(run.plan.seed, run.stage, epoch))


def _rate(stage: Stage, step: int, *, total: int, warmup: int) -> float:
    cosine = 0.5 + 0.5 * math.cos(math.pi * step / total)
    return (stage.final_rate + (stage.rate - stage.final_rate) * cosine) * min(1.0, (step + 1) / (warmup + 1))


def _train_step(run: _Run, batch: ImageSet, *, total: int) -> float:
    """One step of the optimiser; returns the loss."""
    stage, plan, step = run.current, run.plan, run.step
    generator = _generator(plan.seed, run.stage, _AUGMENTATION, step)
    images, targets = _changed(plan, batch, generator)
    for group in run.optimiser.param_groups:
        group["lr"] = _rate(stage, step, total=total, warmup=plan.warmup)
    run.model.train()
    loss = _loss(run, _scores(plan, run.model, stage, images), images, targets)
    run.optimiser.zero_grad()
    loss.backward()
    run.optimiser.step()
    return loss.item()


def _changed(plan: TrainPlan, batch: ImageSet, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The images of a step, changed at random, and their labels: classes [B], or shares of them [B, classes]."""
    changes = {"mirror": plan.mirror, "rotation": plan.rotation, "zoom": plan.zoom}
    images, labels = augment(batch.images, generator=generator, **changes), batch.labels
    if plan.rand_operations:
        sizes = {"operations": plan.rand_operations, "magnitude": plan.rand_magnitude}
        images = rand_augment(images, **sizes, generator=generator)
    if plan.erase:
        images = erase(images, share=plan.erase, generator=generator)
    if plan.mixup:
        images, other, share = mix(images, alpha=plan.mixup, generator=generator)
        shares = F.one_hot(labels, plan.config.classes).float()
        labels = share * shares + (1 - share) * shares[other]
    return images, labels


def _loss(run: _Run, scores: Tensor, images: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy with the labels, and with a teacher the divergence from what that says."""
    plan = run.plan
    loss = F.cross_entropy(scores, targets, label_smoothing=plan.label_smoothing)
    if run.teacher is None:
        return loss
    with torch.no_grad():
        wanted = F.log_softmax(run.teacher.scores(images.float(), 1) / plan.temperature, dim=1)
    said = F.log_softmax(scores / plan.temperature, dim=1)
    divergence = F.kl_div(said, wanted, reduction="batchmean", log_target=True)
    return (1 - plan.teacher_share) * loss + plan.teacher_share * plan.temperature**2 * divergence


def _scores(plan: TrainPlan, model: nn.Module, stage: Stage, images: Tensor) -> Tensor:
    pixels = images.float()
    pixels = pixels.to(memory_format=torch.channels_last) if pixels.ndim == 4 else pixels
    # The quantised model counts on exact sums, which bfloat16 does not give.
    with torch.autocast(pixels.device.type, torch.bfloat16, enabled=plan.bfloat16 and not stage.quantised):
        return model.scores(pixels, stage.timesteps)


def accuracy(plan: TrainPlan, model: nn.Module, stage: Stage, images: ImageSet, *, batch: int = 250) -> float:
    """Share of `images` that the model gets right."""
    model.eval()
    with torch.no_grad():
        right = [
            (_scores(plan, model, stage, pixels).argmax(dim=1) == labels).sum().item()
            for pixels, labels in zip(images.images.split(batch), images.labels.split(batch), strict=True)
        ]
    return sum(right) / len(images)


def _end_epoch(run: _Run, epoch: int, per_epoch: int, validation: ImageSet) -> None:
    score = accuracy(run.plan, run.model, run.current, validation)
    record = {
        "stage": run.current.name,
        "epoch": epoch + 1,
        "loss": round(run.loss_sum / per_epoch, 4),
        "validation_accuracy": round(score, 4),
        "seconds": round(run.seconds),
        "images_per_second": round(run.step * run.plan.batch / (run.seconds - run.before), 1),
    }
    run.history.append(record)
    run.loss_sum = 0.0
    if run.best is None or score >= run.best["accuracy"]:
        state = {name: value.clone() for name, value in run.model.state_dict().items()}
        run.best = {"accuracy": score, "model": state}
