"""The mechanisms by the name that a configuration gives them."""

from golden.attention.a2os2a import A2os2a
from golden.attention.core import Core, Mechanism
from golden.attention.qk import QkChannel, QkToken
from golden.attention.sdsa import Sdsa
from golden.attention.ssa import Ssa
from golden.attention.vsa import Vsa
from golden.config import Attention, ModelConfig
from golden.errors import SaformerError

CORES: dict[Attention, Core] = {
    Attention.SSA: Ssa(),
    Attention.SDSA: Sdsa(),
    Attention.QK_TOKEN: QkToken(),
    Attention.QK_CHANNEL: QkChannel(),
    Attention.A2OS2A: A2os2a(),
}
"""Those of spikes, which have an integer form."""

_MECHANISMS: dict[Attention, Mechanism] = {**CORES, Attention.VSA: Vsa()}


def find_mechanism(config: ModelConfig) -> Mechanism | None:
    """The mechanism of a configuration; None for SASA, which aggregates currents and is part of the model itself."""
    return _MECHANISMS.get(config.attention)


def find_core(config: ModelConfig) -> Core | None:
    """The same, for the integer model. Raises SaformerError for a mechanism of real numbers."""
    mechanism = find_mechanism(config)
    if mechanism is not None and not isinstance(mechanism, Core):
        raise SaformerError(
            f"attention {config.attention} is of real numbers, to compare the others with: it has no integer model"
        )
    return mechanism
