"""The paper's comparisons of mechanisms: table 5, and where the tenfold saving over Spikformer comes from."""

from golden.attention.registry import CORES
from golden.config import CONFIGS, ModelConfig
from golden.energy.costs import AC_PJ, MAC_PJ
from golden.energy.paper import PAPER_FIGURES, implied_rate

_UJ_PER_PJ, _MJ_PER_PJ = 1e-6, 1e-9
# Kernel of the depthwise convolution.
_WINDOW = 9


def table5(config: ModelConfig = CONFIGS["4-384"]) -> list[dict]:
    """Table 5: energy of one block's attention in uJ by eq. 19, all rates 1: linear maps, attention, convolution.

    The numbers of the paper's table are not in the text that is public; these follow from its equations. VSA is real
    and runs once, softmax left out; everything else runs at every timestep. SASA's attention is the masking of K.
    """
    tokens, dim = config.tokens, config.dim
    pairs, single = 2 * tokens**2 * dim, tokens * dim
    mechanisms = [("VSA", 3, pairs, 0, MAC_PJ)]
    mechanisms += [
        (str(name).upper(), len(core.parts), core.operations(config), 0, AC_PJ * config.timesteps)
        for name, core in CORES.items()
    ]
    mechanisms.append(("SASA", 2, single, _WINDOW * single, AC_PJ * config.timesteps))
    return [
        {
            "table": 5,
            "mechanism": name,
            "linear_uj": _UJ_PER_PJ * price * maps * single * dim,
            "attention_uj": _UJ_PER_PJ * price * attention,
            "convolution_uj": _UJ_PER_PJ * price * convolution,
        }
        for name, maps, attention, convolution, price in mechanisms
    ]


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
