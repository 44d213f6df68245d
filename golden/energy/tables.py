"""The paper's comparisons of mechanisms: table 5, and where the tenfold saving over Spikformer comes from."""

import dataclasses
from collections.abc import Mapping

from golden.attention.registry import CORES, find_mechanism
from golden.config import CONFIGS, Attention, ModelConfig
from golden.energy.costs import AC_PJ, MAC_PJ, MJ_PER_PJ
from golden.energy.paper import PAPER_FIGURES, implied_rate
from golden.layers import Layer, layers

_UJ_PER_PJ = 1e-6


def _block(config: ModelConfig, attention: Attention) -> Mapping[str, Layer]:
    """The layers of the first block of a network with another attention, by the last part of their name."""
    inside = layers(dataclasses.replace(config, attention=attention))
    return {layer.name.rpartition(".")[2]: layer for layer in inside if layer.name.startswith("blocks.0.")}


def table5(config: ModelConfig = CONFIGS["4-384"]) -> list[dict]:
    """Table 5: energy of one block's attention in uJ by eq. 19, all rates 1: linear maps, attention, convolution.

    The numbers of the paper's table are not in the text that is public; these follow from its equations. VSA is real
    and runs once, its exponentials counted but not billed; everything else runs at every timestep. SASA's attention
    is the masking of K.
    """
    spiking = AC_PJ * config.timesteps
    real = dataclasses.replace(config, attention=Attention.VSA)
    rows = [_row("VSA", _block(config, Attention.VSA), MAC_PJ, exponentials=find_mechanism(real).exponentials(real))]
    rows += [_row(str(name).upper(), _block(config, name), spiking) for name in CORES]
    sasa = _row("SASA", _block(config, Attention.SASA), spiking)
    return [*rows, sasa | {"attention_uj": _UJ_PER_PJ * spiking * config.tokens * config.dim}]


def _row(mechanism: str, block: Mapping[str, Layer], price: float, *, exponentials: int = 0) -> dict:
    """A row of table 5 from a block's layers and the price of their operations in pJ."""

    def energy(*names: str) -> float:
        return _UJ_PER_PJ * price * sum(block[name].macs for name in names if name in block)

    return {
        "table": 5,
        "mechanism": mechanism,
        "linear_uj": energy("q", "k", "v"),
        "attention_uj": energy("attend"),
        "convolution_uj": energy("mix"),
        "exponentials": exponentials,
    }


def spikformer_shares() -> dict:
    """What Spikformer's claimed energy is made of, if layers that read sums of spikes are billed as dense MACs.

    Its residual adds spikes to spikes, so Q, K, V and the first layer of the MLP read numbers in every block: up to
    1 + 2 * 4 after the last. The usual script sees an input that is not binary and bills 4.6 pJ for each of the layer's
    dense operations at every timestep. The other price is that of SAFormer's own layers at the rate that its energy
    implies.
    """
    config, figure = CONFIGS["4-384"], PAPER_FIGURES[0]
    block = _block(config, Attention.SSA)
    maps = config.depth * config.timesteps * sum(block[name].macs for name in ("q", "k", "v", "fc1"))
    rate = implied_rate(figure)
    return {
        "claimed_mj": figure.others_mj()["Spikformer"],
        "number_macs": maps,
        "number_bits": (1 + 2 * config.depth).bit_length(),
        "numbers_as_macs_mj": MJ_PER_PJ * MAC_PJ * maps,
        "rate": rate,
        "numbers_as_accumulates_mj": MJ_PER_PJ * AC_PJ * rate * maps,
    }
