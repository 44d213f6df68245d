"""Spiking attention on lists, spike by spike: what the tests compare every mechanism with."""

import itertools
from fractions import Fraction

from golden.config import Attention


class Formula:
    """The mechanisms by hand, on lists: every sum a loop, every neuron in exact fractions."""

    def __init__(self, config, spikes, image):
        self.config = config
        self.tokens = range(config.tokens)
        self.width = config.dim // config.heads
        # [part][step][token][channel]
        self.values = {
            part: [[[int(x) for x in token] for token in step[image].flatten(1).T] for step in steps]
            for part, steps in spikes.items()
        }

    def neuron(self, currents, threshold):
        v, fired = Fraction(0), []
        for current in currents:
            v = (v + current) / 2
            fired.append(int(v >= threshold))
            if fired[-1]:
                v = v - threshold if self.config.reset == "soft" else Fraction(0)
        return fired

    def head(self, channel):
        """The channels of the head that a channel belongs to."""
        first = channel // self.width * self.width
        return range(first, first + self.width)

    def ssa(self, token, channel):
        currents = []
        for q, k, v in zip(*(self.values[part] for part in "qkv"), strict=True):
            total = Fraction(0)
            for other in self.tokens:
                score = sum(q[token][d] * k[other][d] for d in self.head(channel))
                total += Fraction(1, 8) * score * v[other][channel]
            currents.append(total)
        return self.neuron(currents, Fraction(1, 2))

    def sdsa(self, token, channel):
        pairs = zip(self.values["k"], self.values["v"], strict=True)
        fired = self.neuron([sum(k[i][channel] * v[i][channel] for i in self.tokens) for k, v in pairs], Fraction(1, 2))
        return [mask * q[token][channel] for mask, q in zip(fired, self.values["q"], strict=True)]

    def qk_token(self, token, channel):
        fired = self.neuron([sum(q[token][d] for d in self.head(channel)) for q in self.values["q"]], Fraction(1, 2))
        return [mask * k[token][channel] for mask, k in zip(fired, self.values["k"], strict=True)]

    def qk_channel(self, token, channel):
        fired = self.neuron([sum(q[i][channel] for i in self.tokens) for q in self.values["q"]], Fraction(1, 2))
        return [mask * k[token][channel] for mask, k in zip(fired, self.values["k"], strict=True)]

    def a2os2a(self, token, channel):
        # Counts of K are halves of a threshold.
        currents = []
        for q, k, v in zip(*(self.values[part] for part in "qkv"), strict=True):
            total = Fraction(0)
            for other in self.tokens:
                score = sum(Fraction(k[other][d], 2) for d in self.head(channel) if q[token][d])
                total += v[other][channel] * score
            currents.append(total)
        return self.neuron(currents, Fraction(1, 2))

    def output(self, token, channel):
        return getattr(self, str(self.config.attention).replace("-", "_"))(token, channel)


def executed(config, spikes):
    """Accumulates of single bits and additions of numbers at every timestep, by walking over all of them."""
    single, wide = [0] * config.timesteps, [0] * config.timesteps
    width, tokens = config.dim // config.heads, range(config.tokens)
    for step, image in itertools.product(*map(range, spikes["q"].shape[:2])):
        parts = {
            part: values[step, image].flatten(1).T.tolist() for part, values in spikes.items() if values is not None
        }
        q, k, v = (parts.get(part) for part in ("q", "k", "v"))
        match config.attention:
            case Attention.SSA:
                for head, i, j in itertools.product(range(config.heads), tokens, tokens):
                    channels = range(head * width, (head + 1) * width)
                    score = sum(q[i][d] & k[j][d] for d in channels)
                    single[step] += score
                    wide[step] += sum(v[j][d] for d in channels) if score else 0
            case Attention.A2OS2A:
                for head, i, j in itertools.product(range(config.heads), tokens, tokens):
                    channels = range(head * width, (head + 1) * width)
                    met = [k[j][d] for d in channels if q[i][d] and k[j][d]]
                    wide[step] += len(met) + (sum(v[j][d] != 0 for d in channels) if met else 0)
            case Attention.SDSA:
                single[step] += sum(k[i][d] & v[i][d] for i in tokens for d in range(config.dim))
            case _:
                single[step] += sum(map(sum, q))
    return single, wide
