"""Faults: a wrong bit in a program, and an accelerator with a wrong memory or a wrong neuron."""

from contextlib import contextmanager
from dataclasses import replace
from enum import IntEnum
from functools import partial
from unittest.mock import patch

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect, flipped

from hw.accelerator import Accelerator
from hw.compile.lowering import Lowered
from hw.config import HardwareConfig
from hw.memory.reader import BurstReader
from hw.memory.spike_memory import SpikeMemory
from hw.neurons.lif import Neuron
from hw.neurons.pipeline import hold
from hw.program import Block, Memory, params_layout


def flip_weight(lowered: Lowered, *, layer: str, row: int, lane: int, bit: int) -> Lowered:
    """Invert one bit of a weight of a layer, in a row relative to its first."""
    for number, block in enumerate(lowered.program.blocks):
        if block.layer == layer and row < len(block.weights):
            weights = block.weights.copy()
            weights.view("uint8")[row, lane] ^= 1 << bit
            return with_block(lowered, number, replace(block, weights=weights))
        row -= len(block.weights) if block.layer == layer else 0
    raise ValueError(f"no row {row} in {layer}")


def flip_param(lowered: Lowered, *, layer: str, memory: Memory, channel: int, field: str, bit: int) -> Lowered:
    """Invert one bit of the bias or threshold of one of the first channels of a layer, in one of its memories."""
    layout = params_layout(lowered.config)
    beat, slot = divmod(channel, lowered.config.beat_channels)
    blocks = lowered.program.blocks
    number = next(n for n, block in enumerate(blocks) if block.layer == layer and memory in block.entries)
    beats = list(blocks[number].entries[memory])
    beats[beat] ^= 1 << layout[slot].offset + layout.elem_shape[field].offset + bit
    changed = replace(blocks[number], entries=dict(blocks[number].entries) | {memory: tuple(beats)})
    return with_block(lowered, number, changed)


def with_block(lowered: Lowered, number: int, block: Block) -> Lowered:
    """Exchange one block of a program."""
    blocks = list(lowered.program.blocks)
    blocks[number] = block
    return replace(lowered, program=replace(lowered.program, blocks=tuple(blocks)))


class Fault(IntEnum):
    """What is wrong with a `FaultyAccelerator`."""

    NONE = 0
    SPIKE_MEMORY = 1
    ROUNDING = 2
    DROPPED_WORD = 3
    REPEATED_WORD = 4


class FlippedMemory(wiring.Component):
    """Spike memory in which one bit of one word is always read inverted."""

    WORD = 3

    def __init__(self, *, config: HardwareConfig, fault: Signal):
        self.inner = SpikeMemory(config=config)
        self.fault = fault
        super().__init__(self.inner.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = self.inner
        _pass_through(m, self, self.inner, without=("data",))
        wrong = Signal()
        m.d.sync += wrong.eq(self.enable & (self.address == self.WORD) & (self.fault == Fault.SPIKE_MEMORY))
        m.d.comb += self.data.as_value().eq(self.inner.data.as_value() ^ wrong)
        return m


class UnreliableReader(wiring.Component):
    """A reader that loses one word of the program, or gives it twice."""

    WORD = 1500

    def __init__(self, *, config: HardwareConfig, fault: Signal):
        self.inner = BurstReader(config=config)
        self.fault = fault
        super().__init__(self.inner.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = self.inner
        _pass_through(m, self, inner, without=("o",))
        number, repeated = Signal(24), Signal()
        here = (number == self.WORD) & inner.o.valid
        drop, repeat = here & (self.fault == Fault.DROPPED_WORD), here & (self.fault == Fault.REPEATED_WORD)
        m.d.comb += [
            self.o.payload.eq(inner.o.payload),
            self.o.valid.eq(inner.o.valid & ~drop),
            inner.o.ready.eq((self.o.ready & (~repeat | repeated)) | drop),
        ]
        with m.If(repeat & self.o.ready):
            m.d.sync += repeated.eq(1)
        with m.If(inner.o.valid & inner.o.ready):
            m.d.sync += number.eq(number + 1)
        with m.If(self.start):
            m.d.sync += [number.eq(0), repeated.eq(0)]
        return m


class TruncatingNeuron(Neuron):
    """A neuron that rounds toward zero instead of down."""

    def __init__(self, *, fault: Signal, **sizes):
        self.fault = fault
        super().__init__(**sizes)

    def elaborate(self, platform):
        m = Module()
        membrane, spikes = self.before if self.carried else 0, []
        for current in self.currents:
            total = membrane + current
            halved = (total + ((total < 0) & (self.fault == Fault.ROUNDING))).shift_right(1)
            spikes.append(halved >= self.threshold)
            membrane = Mux(spikes[-1], 0, halved)
        m.d.comb += self.spikes.eq(hold(m, Cat(spikes), self.enables))
        if self.carried:
            m.d.comb += self.after.eq(hold(m, membrane, self.enables))
        return m


class FaultyAccelerator(wiring.Component):
    """The accelerator with a switch for its faults."""

    def __init__(self, *, config: HardwareConfig):
        self.inner = Accelerator(config=config)
        super().__init__({**self.inner.signature.members, "fault": In(3)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = self.inner
        _pass_through(m, self, self.inner)
        return m

    @contextmanager
    def elaborating(self):
        """While the design is converted: its parts are the faulty ones."""
        memory = partial(FlippedMemory, fault=self.fault)
        neuron = partial(TruncatingNeuron, fault=self.fault)
        reader = partial(UnreliableReader, fault=self.fault)
        with (
            patch("hw.accelerator.SpikeMemory", memory),
            patch("hw.accelerator.BurstReader", reader),
            patch("hw.neurons.lif.Neuron", neuron),
        ):
            yield


def _pass_through(m, outer, inner, *, without=()):
    """Connect every member of a wrapper with the same member inside."""
    for name, member in inner.signature.members.items():
        outside, inside = getattr(outer, name), getattr(inner, name)
        if name in without:
            continue
        if member.is_signature:
            connect(m, flipped(outside), inside)
        elif member.flow is In:
            m.d.comb += inside.eq(outside)
        else:
            m.d.comb += outside.eq(inside)
