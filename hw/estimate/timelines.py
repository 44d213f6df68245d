"""What goes on beside the engine, for the analytic model: weights that arrive, keys that are mixed."""

from bisect import bisect_right
from dataclasses import dataclass

from golden.errors import SaformerError


@dataclass(frozen=True, kw_only=True)
class ExternalMemory:
    """The memory that holds the program. The defaults are those of a 16-bit SDR SDRAM at the core's clock, behind a
    controller that streams 97 % of its two bytes a cycle (measured with LiteDRAM).

    Parameters
    ----------
    latency : cycles from a request to its first word
    bandwidth : bytes that it delivers in a cycle; what is above the width of the bus does not help

    Raises SaformerError for an impossible value.
    """

    latency: int = 14
    bandwidth: float = 1.94

    def __post_init__(self):
        if self.latency < 0:
            raise SaformerError(f"the latency of the memory cannot be negative, but is {self.latency}")
        if not self.bandwidth > 0:
            raise SaformerError(f"the bandwidth of the memory must be above 0 bytes a cycle, not {self.bandwidth}")

    def words(self, bus_bytes: int) -> float:
        """Words of a bus that it delivers in a cycle, at most 1."""
        return min(1.0, self.bandwidth / bus_bytes)


ON_CHIP = ExternalMemory(latency=2, bandwidth=32)
"""Memory inside the chip: as fast as the widest bus."""


class WeightTimeline:
    """Rows arrive one after the other, as soon as the ring has room for them.

    Parameters
    ----------
    depth : rows of the ring
    row_cycles : cycles in which a row arrives
    latency : cycles from a request to the first word
    start : cycle at which the inference begins
    """

    def __init__(self, *, depth: int, row_cycles: float, latency: float, start: float = 0):
        self.depth = depth
        self.row_cycles = row_cycles
        self.latency = latency
        self.released = 0
        # From each of these rows on, rows arrive one after the other from this time on.
        self.first_rows, self.times = [0], [start + latency]

    def arrival(self, rows: int) -> float:
        """When the first ``rows`` rows are complete. They must fit the ring beside what has not been released."""
        if rows > self.released + self.depth:
            raise ValueError(f"row {rows} has no room: {self.released} rows released, {self.depth} in the ring")
        if rows == 0:
            return 0
        run = bisect_right(self.first_rows, rows - 1) - 1
        return self.times[run] + (rows - self.first_rows[run]) * self.row_cycles

    def release(self, rows: int, time: float) -> None:
        """From ``time`` on, the oldest ``rows`` rows may be overwritten."""
        if rows == 0:
            return
        room = self.released + self.depth
        # A reader that is still busy with the rows before never notices that it had no room.
        self.first_rows.append(room)
        self.times.append(max(self.arrival(room), time + self.latency))
        self.released += rows


class MixTimeline:
    """The mixing unit, which works in cycles in which the engine neither reads spike memory nor sends a current.

    A slot is such a cycle, in which one beat is mixed. Visits are (position, pass) pairs, in the unit's order.

    Parameters
    ----------
    latency : slots from the last key of a window to what is mixed of it
    spacing : least slots from one pass of a beat to the next
    """

    def __init__(self, *, latency: int, spacing: int):
        self.latency = latency
        self.spacing = spacing
        self.backlog = 0.0  # slots that are left of all groups, and in `_newest` of the newest
        self._newest = self._visit = self._lead = 0.0

    def add(self, *, visits: int, passes: int, width: int, beats: int) -> None:
        """A group of keys of ``beats`` beats is complete, on a grid of so many tokens' width."""
        self._visit = max(beats, self.spacing) if passes > 1 else beats
        # The window of a position is complete when the position one row and one column on has been read.
        self._lead = (width + 1) * passes * self._visit + self.latency
        self._newest = visits * self._visit + self._lead
        self.backlog += self._newest

    def advance(self, slots: float) -> None:
        """Mix for so many slots."""
        self.backlog = max(0.0, self.backlog - max(0.0, slots))

    def missing(self, visit: int) -> float:
        """Slots until visit number ``visit`` of the newest group has been mixed."""
        after = self._newest - self._lead - (visit + 1) * self._visit
        return max(0.0, self.backlog - after)
