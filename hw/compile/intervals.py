"""How far apart the positions of a layer have to end, so that everything behind the lanes keeps up."""

from hw.compile.allocate import channel_beats
from hw.compile.schedule import Step
from hw.config import HardwareConfig
from hw.engine.drain import RECALL_GAP
from hw.engine.engine import MIN_INTERVAL
from hw.neurons.neuron_path import NeuronPath


def intervals(step: Step, config: HardwareConfig) -> tuple[int, int]:
    """The fewest cycles from the end of a position of an EVENT step to that of the next: after a position inside its
    tile, and after the last one of a tile.

    The beats of a position leave one a cycle. After the last one those of the tile follow where it has a target of its
    own, and the planes of its spike counts where they are wanted. A neuron's state comes back in the next pass.
    """
    beats = channel_beats(min(step.outputs, config.lanes), config)
    more = len(step.targets) - 1 + (step.counts.planes if step.counts else 0)
    least = max(MIN_INTERVAL, NeuronPath.state_spacing(config) if step.passes > 1 else 0)
    return max(least, beats), max(least, (1 + more) * beats + (RECALL_GAP if more else 0))
