"""The program format: what the words of a program say, read back field by field."""

import numpy as np
import pytest

from hw.config import HardwareConfig
from hw.program import (
    DESCRIPTOR,
    DESCRIPTOR_LAYOUT,
    DESCRIPTOR_WORDS,
    Kind,
    Layer,
    Memory,
    Program,
    memory_shapes,
    pack_fields,
)

CONFIG = HardwareConfig(name="test", lanes=16, beat_channels=4, word_channels=16)


@pytest.fixture
def program():
    random = np.random.default_rng(6)
    shapes = memory_shapes(CONFIG)
    layers = tuple(Layer(name=f"layer {number}", fields=_random_fields(random)) for number in range(3))
    return Program(
        config=CONFIG,
        layers=layers,
        weights=random.integers(-127, 128, (5, 16)).astype(np.int8),
        params=tuple(int.from_bytes(random.bytes(25)) % 2 ** shapes[Memory.PARAMS][0] for _ in range(4)),
        taps=tuple(int.from_bytes(random.bytes(48)) % 2 ** shapes[Memory.TAPS][0] for _ in range(2)),
    )


def _random_fields(random):
    fields = {}
    for name, shape in DESCRIPTOR.items():
        low, high = (-(1 << shape.width - 1), 1 << shape.width - 1) if shape.signed else (0, 1 << shape.width)
        fields[name] = int(random.integers(low, high))
    return fields


def _sections(words):
    """The memories of a stream of program words: code, entries, and everything that follows."""
    words = list(map(int, words))
    sections = {}
    widths = {Memory.ROWS: 32} | {memory: width for memory, (width, _) in memory_shapes(CONFIG).items()}
    for memory, width in sorted(widths.items()):
        header = words.pop(0)
        assert header >> 28 == memory
        size = -(-width // 32)
        entries = header & (1 << 28) - 1
        sections[memory] = [
            sum(word << 32 * i for i, word in enumerate(words[size * entry : size * (entry + 1)]))
            for entry in range(entries)
        ]
        del words[: size * entries]
    assert words == []
    return sections


def test_words_hold_every_memory(program):
    sections = _sections(program.words())
    assert sections[Memory.ROWS] == [5]
    assert sections[Memory.PARAMS] == list(program.params)
    assert sections[Memory.TAPS] == list(program.taps)


def test_words_hold_every_descriptor_field(program):
    words = _sections(program.words())[Memory.DESCRIPTORS]
    assert len(words) == 3 * DESCRIPTOR_WORDS
    for number, layer in enumerate(program.layers):
        chunk = words[number * DESCRIPTOR_WORDS : (number + 1) * DESCRIPTOR_WORDS]
        view = DESCRIPTOR_LAYOUT.from_bits(
            sum(word << 32 * i for i, word in enumerate(chunk)) % 2**DESCRIPTOR_LAYOUT.size
        )
        expected = layer.fields | {"final": int(number == 2)}
        assert {name: int(view[name]) for name in DESCRIPTOR} == expected


def test_fields_that_are_left_out_are_zero():
    words = Layer(name="pool", fields={"kind": Kind.POOL}).words(final=False)
    view = DESCRIPTOR_LAYOUT.from_bits(sum(word << 32 * i for i, word in enumerate(words)))
    assert {name: int(view[name]) for name in DESCRIPTOR} == {name: 0 for name in DESCRIPTOR} | {"kind": Kind.POOL}


def test_a_value_that_does_not_fit_its_field():
    with pytest.raises(ValueError, match="65536"):
        pack_fields(DESCRIPTOR_LAYOUT, {name: 0 for name in DESCRIPTOR} | {"row_beats": 65536})
