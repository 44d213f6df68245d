"""What a netlist and a routed design say: resources by component, memories, the clock and the path that limits it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from hw.synth.devices import Device
from hw.synth.flow import Netlist

WHOLE = "whole"
"""Name of the design as a whole among its components."""

SHARED = "between and shared"
"""Name of what the whole takes beyond its components synthesised one by one; negative where it saves."""

BLOCK_DEPTH = 128
"""Entries from which a memory should be block RAM."""

LOGIC_DEPTH = 32
"""Entries up to which a memory should not be block RAM: most of the block would be empty."""

# How Yosys extends the name of a wire to that of a cell that drives it, in the technologies that are known here.
_CELL = re.compile(
    r"_(TRELLIS_FF|LUT\d|CCU2C|PFUMX|L6MUX21|DP16KD|PDPW16KD|TRELLIS_DPR16X4|SB_|ALU|DFF|MUX2|SDP|DPB).*$"
)
_BLOCKS = re.compile(r"DP16KD|PDPW16KD|SB_RAM|SB_SPRAM|ICE40_SPRAM|ICE40_RAM|GOWIN_S|GOWIN_D|SDP|DPB|SPRAM")


@dataclass(frozen=True, kw_only=True)
class CriticalPath:
    """The slowest path from a register to a register.

    Members
    -------
    start, end : what drives and what receives it, names of signals with the path of their component
    components : the components that it goes through, in order
    cells : LUTs, carry chains and memories on the way
    logic, routing : nanoseconds in cells, set-up and clock-to-output included, and in wires
    """

    start: str
    end: str
    components: tuple[str, ...]
    cells: int
    logic: float
    routing: float

    def __str__(self) -> str:
        through = f"through {self.cells} cells in {', '.join(self.components)} " if self.cells else ""
        total = self.logic + self.routing
        return (
            f"from {self.start} {through}to {self.end}: {total:.1f} ns, "
            f"{self.logic:.1f} of logic and {self.routing:.1f} of routing"
        )


def by_component(netlists: Mapping[str, Netlist], device: Device) -> dict[str, dict[str, int]]:
    """Return the resources of every component, of what they share, and of the `WHOLE`, which is one of the netlists."""
    usage = {name: device.usage(netlist.cells) for name, netlist in netlists.items()}
    total = usage.pop(WHOLE)
    rest = {resource: total[resource] - sum(part[resource] for part in usage.values()) for resource in total}
    return usage | {SHARED: rest, WHOLE: total}


def limit(total: Mapping[str, int], device: Device) -> tuple[str, float]:
    """Return the resource of which a larger design has the least left, and the share that is taken."""
    shares = {resource: count / device.capacity[resource] for resource, count in total.items()}
    resource = max(shares, key=shares.get)
    return resource, shares[resource]


def misplaced(netlist: Netlist, depths: Mapping[str, int]) -> dict[str, str]:
    """Return the memories that should be block RAM and are not, or the other way round, with a reason each.

    ``depths`` are the entries of every memory, by the path that it has in the netlist.
    """
    found = {}
    for name, depth in depths.items():
        cell = netlist.memories.get(name, "registers")
        block = bool(_BLOCKS.search(cell))
        if depth >= BLOCK_DEPTH and not block:
            found[name] = f"{depth} entries in {_readable(cell)}, not in block RAM"
        elif depth <= LOGIC_DEPTH and block:
            found[name] = f"{depth} entries in block RAM"
    return found


def _readable(cell: str) -> str:
    return cell.strip("$_")


def clock(reports: Sequence[dict], *, unrouted: int = 0) -> dict[str, float]:
    """Return the median, the worst and the best clock, MHz, of a design routed with several seeds.

    The median is that of all seeds: those with which routing did not end count as 0.
    """
    achieved = [min(domain["achieved"] for domain in report["fmax"].values()) for report in reports]
    return {"median": median(achieved + unrouted * [0.0]), "worst": min(achieved), "best": max(achieved)}


def placed(report: dict) -> dict[str, int]:
    """Return how many places of each kind a routed design takes, by nextpnr's names."""
    return {kind: use["used"] for kind, use in report["utilization"].items() if use["used"]}


def critical_path(report: dict) -> CriticalPath:
    """Return the slowest path between registers of a routed design."""
    inside = [path for path in report["critical_paths"] if path["from"] == path["to"]]
    steps = max(inside, key=lambda path: sum(step["delay"] for step in path["path"]))["path"]
    cells = [step for step in steps if step["type"] == "logic"]
    components = dict.fromkeys(_component(step["from"]["cell"]) for step in cells)
    return CriticalPath(
        start=_signal(steps[0]["from"]["cell"]),
        end=_signal(steps[-1]["to"]["cell"]),
        components=tuple(components),
        cells=len(cells),
        logic=sum(step["delay"] for step in steps if step["type"] != "routing"),
        routing=sum(step["delay"] for step in steps if step["type"] == "routing"),
    )


def _signal(cell: str) -> str:
    """Return the signal that a cell was named after."""
    return _CELL.sub("", cell)


def _component(cell: str) -> str:
    """Return the component that a cell lies in, by the name of the signal that it was named after."""
    return _signal(cell).rpartition(".")[0] or "the top"
