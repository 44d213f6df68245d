"""All experiments by name."""

from golden.conversion.experiment import CONVERSION, ConversionExperiment
from golden.errors import SaformerError
from golden.experiment import EXPERIMENTS, Experiment

QUESTIONS: dict[str, Experiment | ConversionExperiment] = EXPERIMENTS | {CONVERSION.name: CONVERSION}


def find_experiment(name: str) -> Experiment | ConversionExperiment:
    """An experiment by its name. Raises SaformerError for one that does not exist."""
    if name not in QUESTIONS:
        raise SaformerError(f"no experiment {name!r}: use one of {', '.join(QUESTIONS)}")
    return QUESTIONS[name]
