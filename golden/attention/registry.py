"""The mechanisms by the name that a configuration gives them."""

from golden.attention.core import Core
from golden.attention.qk import QkChannel, QkToken
from golden.attention.sdsa import Sdsa
from golden.attention.ssa import Ssa
from golden.config import Attention, ModelConfig

CORES: dict[Attention, Core] = {
    Attention.SSA: Ssa(),
    Attention.SDSA: Sdsa(),
    Attention.QK_TOKEN: QkToken(),
    Attention.QK_CHANNEL: QkChannel(),
}


def find_core(config: ModelConfig) -> Core | None:
    """The mechanism of a configuration; None for SASA, which aggregates currents and is part of the model itself."""
    return CORES.get(config.attention)
