"""The analytic model of one image: what it makes the engine do, and how long that takes."""

import numpy as np

from golden.integer import Trace
from hw.compile.lowering import Lowered
from hw.estimate.activity import measure
from hw.estimate.costs import Estimate
from hw.estimate.cycles import estimate
from hw.estimate.timelines import ExternalMemory


def estimate_image(lowered: Lowered, trace: Trace, image: np.ndarray, memory: ExternalMemory | None = None) -> Estimate:
    """Estimate the inference of ``image``, uint8 [1, C, H, W] or [1, T, C, H, W].

    ``trace`` is the integer model's run of it, ``memory`` the external memory.
    """
    steps = [layer.step for layer in lowered.layers]
    activity = measure(steps, trace, image, lowered.model, lowered.config)
    return estimate(steps, activity, lowered.config, memory)
