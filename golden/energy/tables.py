"""The paper's comparisons of mechanisms: table 5, and where the tenfold saving over Spikformer comes from."""

from dataclasses import dataclass

from golden.config import CONFIGS
from golden.energy.costs import AC_PJ, MAC_PJ
from golden.energy.paper import PAPER_FIGURES, implied_rate

_UJ_PER_PJ, _MJ_PER_PJ = 1e-6, 1e-9
# Kernel of the depthwise convolution.
_WINDOW = 9


@dataclass(frozen=True, kw_only=True)
class _Mechanism:
    """Dense operations of an attention: D x D maps, products of spikes by tokens N and channels D, and its unit price.

    `token_pairs` and `tokens` are how often N * N * D and N * D operations are done.
    """

    name: str
    maps: int
    token_pairs: int = 0
    tokens: int = 0
    convolution: bool = False
    real: bool = False


_MECHANISMS = (
    _Mechanism(name="VSA", maps=3, token_pairs=2, real=True),
    _Mechanism(name="SSA", maps=3, token_pairs=2),
    _Mechanism(name="SDSA", maps=3, tokens=1),
    _Mechanism(name="SASA", maps=2, tokens=1, convolution=True),
)


def table5(*, tokens: int = 64, dim: int = 384, timesteps: int = 4) -> list[dict]:
    """Table 5: energy of one block's attention in uJ by eq. 19, all rates 1: linear maps, attention, convolution.

    The numbers of the paper's table are not in the text that is public; these follow from its equations. VSA is real
    and runs once; everything else runs at every timestep.
    """
    rows = []
    for mechanism in _MECHANISMS:
        price = _UJ_PER_PJ * (MAC_PJ if mechanism.real else AC_PJ * timesteps)
        attention = mechanism.token_pairs * tokens**2 * dim + mechanism.tokens * tokens * dim
        rows.append(
            {
                "table": 5,
                "mechanism": mechanism.name,
                "linear_uj": price * mechanism.maps * tokens * dim**2,
                "attention_uj": price * attention,
                "convolution_uj": price * mechanism.convolution * _WINDOW * tokens * dim,
            }
        )
    return rows


def spikformer_shares() -> dict:
    """What Spikformer's claimed energy is made of, if layers that read sums of spikes are billed as dense MACs.

    Its residual adds spikes to spikes, so Q, K, V and the first layer of the MLP read numbers in every block: up to
    1 + 2 * 4 after the last. The usual script sees an input that is not binary and bills 4.6 pJ for each of the layer's
    dense operations at every timestep. The other price is that of SAFormer's own layers at the rate that its energy
    implies.
    """
    config, figure = CONFIGS["4-384"], PAPER_FIGURES[0]
    maps = config.depth * config.tokens * config.dim * (3 * config.dim + config.hidden) * config.timesteps
    rate = implied_rate(figure)
    return {
        "claimed_mj": figure.others_mj()["Spikformer"],
        "number_macs": maps,
        "number_bits": (1 + 2 * config.depth).bit_length(),
        "numbers_as_macs_mj": _MJ_PER_PJ * MAC_PJ * maps,
        "rate": rate,
        "numbers_as_accumulates_mj": _MJ_PER_PJ * AC_PJ * rate * maps,
    }
