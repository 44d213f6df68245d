"""Several components in one design, so that their benches share a build."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect, flipped


class SideBySide(wiring.Component):
    """Components that have nothing to do with each other; the ports of each are behind its name, ``NAME__PORT``."""

    def __init__(self, **parts: wiring.Component):
        self.parts = parts
        super().__init__({name: Out(part.signature) for name, part in parts.items()})

    def elaborate(self, platform):
        m = Module()
        for name, part in self.parts.items():
            m.submodules[name] = part
            connect(m, part, flipped(getattr(self, name)))
        return m
