"""What a training run is going to be, before it starts."""

from golden.data import ImageSet
from golden.model import SAFormer
from golden.plan import TrainPlan
from golden.recipe import SPIKING, Recipe
from golden.train import split, step_seconds


def outlook(plan: TrainPlan, *, data: ImageSet, device: str = "cpu", recipe: Recipe = SPIKING) -> dict:
    """The sizes of a run, and about how long it will take on this machine.

    Keys: parameters (trained numbers of the network), training and validation (images of the split that the seed
    chooses), stages (name, epochs, steps, timesteps, rate, final_rate, quantised, seconds), seconds.

    Raises SaformerError: fewer images than the plan needs.
    """
    training, validation = split(plan, data)
    per_epoch = len(training) // plan.batch
    measured = step_seconds(plan, training=training, device=device, recipe=recipe)
    stages = [
        {**vars(stage), "steps": stage.epochs * per_epoch, "seconds": stage.epochs * per_epoch * seconds}
        for stage, seconds in zip(plan.stages, measured, strict=True)
    ]
    return {
        "parameters": sum(parameter.numel() for parameter in SAFormer(plan.config).parameters()),
        "training": len(training),
        "validation": len(validation),
        "stages": stages,
        "seconds": sum(stage["seconds"] for stage in stages),
    }
