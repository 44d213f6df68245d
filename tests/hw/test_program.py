"""The program format: what the payload of a program says, read back field by field."""

import numpy as np
import pytest

from hw.config import HardwareConfig
from hw.program import (
    COUNT_BITS,
    DESCRIPTOR,
    DESCRIPTOR_LAYOUT,
    Block,
    Kind,
    Layer,
    Memory,
    Program,
    descriptor_words,
    entry_words,
    memory_shapes,
    pack_fields,
)

CONFIGS = [
    HardwareConfig(name="test", lanes=16, beat_channels=4, word_channels=16, bus_bytes=bus_bytes)
    for bus_bytes in (4, 16)
]


@pytest.fixture(params=CONFIGS, ids=lambda config: f"{config.bus_bytes} bytes")
def config(request):
    return request.param


@pytest.fixture
def program(config):
    random = np.random.default_rng(6)
    layers = tuple(Layer(name=f"layer {number}", fields=_random_fields(random)) for number in range(3))

    def entries(memory, count):
        width = memory_shapes(config)[memory][0]
        return tuple(int.from_bytes(random.bytes(width // 8 + 1)) % 2**width for _ in range(count))

    def block(number, rows, **counts):
        filled = {Memory[name]: entries(Memory[name], count) for name, count in counts.items()}
        weights = random.integers(-127, 128, (rows, config.lanes)).astype(np.int8)
        return Block(layer="layer 1", group=number, entries=filled, weights=weights)

    blocks = (block(0, 5, PARAMS=4), block(1, 3, PARAMS=2, TAPS=1, MIXES=1), block(2, 0, PARAMS=3))
    return Program(config=config, layers=layers, blocks=blocks)


def _random_fields(random):
    fields = {}
    for name, shape in DESCRIPTOR.items():
        low, high = (-(1 << shape.width - 1), 1 << shape.width - 1) if shape.signed else (0, 1 << shape.width)
        fields[name] = int(random.integers(low, high))
    return fields


def _read(payload, config):
    """The sections of a payload: memory and entries, as integers."""
    words = [
        int.from_bytes(payload[first : first + config.bus_bytes], "little")
        for first in range(0, len(payload), config.bus_bytes)
    ]
    sections = []
    while words:
        header = words.pop(0)
        memory, count = Memory(header >> COUNT_BITS), header & (1 << COUNT_BITS) - 1
        size = entry_words(memory, config)
        taken = [[words.pop(0) for _ in range(size)] for _ in range(count)]
        values = [sum(word << 8 * config.bus_bytes * i for i, word in enumerate(entry)) for entry in taken]
        sections.append((memory, values))
    return sections


def test_the_payload_holds_every_block_in_order(program, config):
    (_, *sections) = _read(program.payload(), config)
    expected = []
    for block in program.blocks:
        expected += [(memory, list(values)) for memory, values in block.entries.items()]
        if len(block.weights):
            rows = [int.from_bytes(row.tobytes(), "little") for row in block.weights]
            expected.append((Memory.WEIGHTS, rows))
    assert sections == expected
    assert len(program.payload()) == program.size


def test_sections_say_whose_they_are(program):
    sections = list(program.sections())
    assert b"".join(section.data for section in sections) == program.payload()
    assert [(section.layer, section.group, section.memory.name, section.count) for section in sections[1:]] == [
        ("layer 1", 0, "PARAMS", 4),
        ("layer 1", 0, "WEIGHTS", 5),
        ("layer 1", 1, "PARAMS", 2),
        ("layer 1", 1, "TAPS", 1),
        ("layer 1", 1, "MIXES", 1),
        ("layer 1", 1, "WEIGHTS", 3),
        ("layer 1", 2, "PARAMS", 3),
    ]


def test_the_payload_holds_every_descriptor_field(program, config):
    memory, words = _read(program.payload(), config)[0]
    size = descriptor_words(config)
    assert (memory, len(words)) == (Memory.DESCRIPTORS, 3 * size)
    for number, layer in enumerate(program.layers):
        chunk = words[number * size : (number + 1) * size]
        bits = sum(word << 8 * config.bus_bytes * i for i, word in enumerate(chunk))
        view = DESCRIPTOR_LAYOUT.from_bits(bits % 2**DESCRIPTOR_LAYOUT.size)
        expected = layer.fields | {"final": int(number == 2)}
        assert {name: int(view[name]) for name in DESCRIPTOR} == expected


def test_fields_that_are_left_out_are_zero():
    view = DESCRIPTOR_LAYOUT.from_bits(Layer(name="pool", fields={"kind": Kind.POOL}).packed(final=False))
    assert {name: int(view[name]) for name in DESCRIPTOR} == {name: 0 for name in DESCRIPTOR} | {"kind": Kind.POOL}


def test_a_value_that_does_not_fit_its_field():
    with pytest.raises(ValueError, match="65536"):
        pack_fields(DESCRIPTOR_LAYOUT, {name: 0 for name in DESCRIPTOR} | {"row_beats": 65536})
