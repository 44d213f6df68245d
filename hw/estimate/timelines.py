"""What goes on beside the engine, for the analytic model: weights that arrive, keys that are mixed."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush

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


@dataclass(frozen=True, kw_only=True)
class FollowTiming:
    """Latencies of the engine that follows the mixing unit.

    Members: fill : cycles from a position that is mixed to its first event; read : to the first word that is read;
    empty : from the last event to the first current.
    """

    fill: int
    read: int
    empty: int


class MixTimeline:
    """The mixing unit, which works in cycles in which the engine neither reads spike memory nor sends a current.

    A slot is such a cycle, in which one beat is mixed. Visits are (position, pass) pairs, in the unit's order.

    Parameters
    ----------
    latency : slots from the last key of a window to the current of what is mixed of it
    path : cycles from that current to the mixed beat in spike memory
    spacing : least slots from one pass of a beat to the next
    """

    def __init__(self, *, latency: int, path: int, spacing: int):
        self.latency = latency
        self.path = path
        self.spacing = spacing
        self.backlog = 0.0  # slots that are left of all groups, and in `_newest` of the newest
        self._newest = self._visit = self._lead = 0.0
        self._masks = 0.0  # cycles until the newest group has its masks

    def add(self, *, visits: int, passes: int, width: int, beats: int, masks: float = 0) -> None:
        """A group of keys of ``beats`` beats is complete, on a grid of so many tokens' width; its masks are so many
        cycles later, and then it can be mixed."""
        self._masks = masks
        self._visit = max(beats, self.spacing) if passes > 1 else beats
        # The window of a position is complete when the position one row and one column on has been read.
        self._lead = (width + 1) * passes * self._visit + self.latency
        self._newest = visits * self._visit + self._lead
        self.backlog += self._newest

    def advance(self, cycles: float, *, share: float = 1.0) -> None:
        """Mix for so many cycles, of which this share are slots."""
        before = min(cycles, self._masks)
        self._masks -= before
        newest = self._newest if before else 0.0
        self.backlog = newest + max(0.0, self.backlog - newest - before * share)
        self.backlog = max(0.0, self.backlog - (cycles - before) * share)

    def missing(self, visit: int) -> float:
        """Slots until the current of visit number ``visit`` of the newest group leaves."""
        after = self._newest - self._lead - (visit + 1) * self._visit
        return max(0.0, self.backlog - after)

    def follow(self, visits: Iterable[tuple[float, float, float]], *, beats: int, timing: FollowTiming) -> float:
        """Let the engine visit positions as they are mixed, all masks being there; return the cycle of the last event.

        A visit is (cycles, events, words): how long it lasts at least, and what of it the engine takes and reads.
        Cycle 0 is that in which the first event comes where nothing has to be waited for.
        """
        used: list[tuple[float, float]] = []  # stretches of cycles in which nothing is mixed, the earliest first
        time = -timing.fill
        free_of_reads, end, backlog, self._masks = time, 0.0, self.backlog, 0.0
        for visit, (cycles, events, words) in enumerate(visits):
            left = self.missing(visit)
            self.backlog -= left
            while used and used[0][0] < time + left:
                start, stop = heappop(used)
                left -= max(0.0, start - time)
                time = max(time, stop)
            time += left
            # A layer begins long after what was mixed before it has been written.
            ready = time + self.path if self.backlog < backlog else -timing.fill
            read = max(ready + timing.read, free_of_reads)
            free_of_reads = read + words
            heappush(used, (read, free_of_reads))
            end = max(end + cycles, read - timing.read + timing.fill + events)
            heappush(used, (end + timing.empty, end + timing.empty + beats))
        return end
