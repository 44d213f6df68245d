"""The registers of the SoC, made of `hw/soc/registers.rdl` by `python -m scripts.registers`: change that."""

from hw.soc.map import Field, Kind, Register

REGISTERS = (
    Register(
        name="IDENT", address=0x00, fields=(Field(name="value", low=0, width=32, kind=Kind.CONSTANT, reset=0x53414631),)
    ),
    Register(
        name="VERSION", address=0x04, fields=(Field(name="value", low=0, width=32, kind=Kind.CONSTANT, reset=0x1),)
    ),
    Register(name="BUILD", address=0x08, fields=(Field(name="hash", low=0, width=32, kind=Kind.VALUE),)),
    Register(
        name="SHAPE",
        address=0x0C,
        fields=(
            Field(name="lanes", low=0, width=11, kind=Kind.VALUE),
            Field(name="timesteps", low=11, width=5, kind=Kind.VALUE),
            Field(name="beat_channels", low=16, width=10, kind=Kind.VALUE),
            Field(name="bus_bytes", low=26, width=6, kind=Kind.VALUE),
        ),
    ),
    Register(name="MEMORY", address=0x10, fields=(Field(name="bytes", low=0, width=32, kind=Kind.VALUE),)),
    Register(name="CYCLES", address=0x14, fields=(Field(name="value", low=0, width=32, kind=Kind.VALUE),)),
    Register(name="CLOCK", address=0x18, fields=(Field(name="hertz", low=0, width=32, kind=Kind.VALUE),)),
    Register(
        name="CONTROL",
        address=0x20,
        fields=(
            Field(name="start", low=0, width=1, kind=Kind.PULSE),
            Field(name="reset", low=1, width=1, kind=Kind.PULSE),
        ),
    ),
    Register(
        name="STATUS",
        address=0x24,
        fields=(
            Field(name="busy", low=0, width=1, kind=Kind.VALUE),
            Field(name="error", low=1, width=1, kind=Kind.VALUE),
            Field(name="item_room", low=2, width=1, kind=Kind.VALUE),
            Field(name="logit_waits", low=3, width=1, kind=Kind.VALUE),
            Field(name="counter_waits", low=4, width=1, kind=Kind.VALUE),
            Field(name="lost", low=5, width=1, kind=Kind.VALUE),
        ),
    ),
    Register(name="PROGRAM", address=0x28, fields=(Field(name="address", low=0, width=32, kind=Kind.STORED),)),
    Register(name="PROGRAM_WORDS", address=0x2C, fields=(Field(name="words", low=0, width=32, kind=Kind.STORED),)),
    Register(name="INPUT", address=0x30, fields=(Field(name="item", low=0, width=16, kind=Kind.PUSHED),)),
    Register(name="LOGIT", address=0x34, fields=(Field(name="value", low=0, width=32, kind=Kind.TAKEN),)),
    Register(
        name="COUNTER",
        address=0x38,
        fields=(
            Field(name="high", low=0, width=8, kind=Kind.VALUE),
            Field(name="index", low=8, width=8, kind=Kind.VALUE),
            Field(name="layer", low=16, width=8, kind=Kind.VALUE),
        ),
    ),
    Register(name="COUNTER_LOW", address=0x3C, fields=(Field(name="low", low=0, width=32, kind=Kind.TAKEN),)),
    Register(
        name="SERIAL",
        address=0x40,
        fields=(
            Field(name="send_room", low=0, width=1, kind=Kind.VALUE),
            Field(name="lost", low=1, width=1, kind=Kind.TAKEN),
        ),
    ),
    Register(
        name="RECEIVED",
        address=0x44,
        fields=(
            Field(name="data", low=0, width=8, kind=Kind.TAKEN),
            Field(name="valid", low=8, width=1, kind=Kind.VALUE),
        ),
    ),
    Register(name="SEND", address=0x48, fields=(Field(name="data", low=0, width=8, kind=Kind.PUSHED),)),
    Register(
        name="CRC_BYTE",
        address=0x4C,
        fields=(
            Field(name="data", low=0, width=8, kind=Kind.PUSHED),
            Field(name="first", low=8, width=1, kind=Kind.PUSHED),
        ),
    ),
    Register(name="CRC", address=0x50, fields=(Field(name="value", low=0, width=32, kind=Kind.VALUE),)),
)
"""By rising address."""
