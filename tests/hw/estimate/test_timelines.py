"""Weights that arrive and keys that are mixed: the timelines against walks cycle by cycle."""

import numpy as np
import pytest

from golden.errors import SaformerError
from hw.estimate.timelines import ExternalMemory, FollowTiming, MixTimeline, WeightTimeline


def _arrivals(depth, row_cycles, latency, groups, compute):
    """When each group's rows are complete and when it ends, row by row as a reader sees it."""
    released = []  # (rows, time) of every group that has ended
    times, ends, row, time = [], [], 0, 0
    arrived = latency
    for rows in groups:
        for _ in range(rows):
            room = next((at for total, at in [(0, None), *released] if row < total + depth), None)
            arrived = max(arrived, 0 if room is None else room + latency) + row_cycles
            row += 1
        times.append(arrived)
        time = max(time, arrived) + compute
        ends.append(time)
        released.append((row, time))
    return times, ends


@pytest.mark.parametrize("latency", [0, 7, 100])
@pytest.mark.parametrize("depth", [16, 32, 64])
def test_rows_arrive_in_order_as_the_ring_has_room(depth, latency):
    groups = np.random.default_rng(depth + latency).integers(1, 17, 40).tolist()
    expected, ends = _arrivals(depth, 3, latency, groups, compute=25)
    weights = WeightTimeline(depth=depth, row_cycles=3, latency=latency)
    rows = 0
    for count, arrival, end in zip(groups, expected, ends, strict=True):
        assert weights.arrival(rows + count) == arrival
        weights.release(count, end)
        rows += count


def test_a_row_without_room_is_a_mistake():
    weights = WeightTimeline(depth=8, row_cycles=1, latency=0)
    with pytest.raises(ValueError, match="row 9 has no room: 0 rows released, 8 in the ring"):
        weights.arrival(9)


def test_nothing_is_waited_for_without_weights():
    weights = WeightTimeline(depth=8, row_cycles=1, latency=50)
    weights.release(0, 10)
    assert weights.arrival(0) == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latency": -1}, "latency of the memory cannot be negative, but is -1"),
        ({"bandwidth": 0}, "bandwidth of the memory must be above 0 bytes a cycle, not 0"),
    ],
)
def test_impossible_memories(changes, message):
    with pytest.raises(SaformerError, match=message):
        ExternalMemory(**changes)


def test_a_visit_is_mixed_when_its_window_is_complete():
    mixing = MixTimeline(latency=5, path=0, spacing=0)
    mixing.add(visits=9, passes=1, width=3, beats=2)
    assert mixing.missing(0) == 5 + (3 + 2) * 2
    mixing.advance(mixing.missing(0))
    assert [mixing.missing(visit) for visit in (0, 1, 8)] == [0, 2, 16]
    mixing.advance(1000)
    assert mixing.missing(8) == 0


def test_older_groups_are_mixed_first():
    mixing = MixTimeline(latency=0, path=0, spacing=0)
    mixing.add(visits=4, passes=1, width=2, beats=3)
    alone = mixing.missing(0)
    left = mixing.backlog
    mixing.add(visits=4, passes=1, width=2, beats=3)
    assert mixing.missing(0) == left + alone


def test_passes_of_a_beat_keep_their_distance():
    close, far = (MixTimeline(latency=0, path=0, spacing=spacing) for spacing in (0, 10))
    for mixing in (close, far):
        mixing.add(visits=8, passes=2, width=2, beats=4)
    assert far.missing(0) * 4 == close.missing(0) * 10


def test_a_group_waits_for_its_masks_while_older_ones_are_mixed():
    mixing = MixTimeline(latency=0, path=0, spacing=0)
    mixing.add(visits=4, passes=1, width=2, beats=3)
    mixing.advance(10, share=0.5)
    older = mixing.backlog
    mixing.add(visits=4, passes=1, width=2, beats=3, masks=100)
    whole = mixing.backlog
    mixing.advance(40, share=0.25)
    assert mixing.backlog == whole - 10
    mixing.advance(60)
    assert mixing.backlog == whole - older
    mixing.advance(4)
    assert mixing.backlog == whole - older - 4


TIMING = FollowTiming(fill=18, read=8, empty=11)
PATH = 20


def _follow(visits, needed, beats):
    """The last event of an engine that follows the mixing unit, cycle by cycle."""
    reads, currents, ends, ready = set(), set(), [0], []
    cycle, mixed, free_of_reads = -TIMING.fill, 0, -TIMING.fill
    while len(ready) < len(visits):
        while len(ready) < len(visits) and mixed >= needed[len(ready)]:
            cycles, events, words = visits[len(ready)]
            ready.append(cycle + PATH if mixed else -TIMING.fill)
            read = max(ready[-1] + TIMING.read, free_of_reads)
            free_of_reads = read + words
            reads |= set(range(read, free_of_reads))
            ends.append(max(ends[-1] + cycles, read - TIMING.read + TIMING.fill + events))
            currents |= set(range(ends[-1] + TIMING.empty, ends[-1] + TIMING.empty + beats))
        mixed += cycle not in reads | currents
        cycle += 1
    return ends[-1]


@pytest.mark.parametrize("left", [0, 7, 200], ids="{} slots ahead".format)
@pytest.mark.parametrize("beats", [3, 16, 40])
def test_positions_are_visited_as_they_are_mixed(beats, left):
    rng = np.random.default_rng(beats + left)
    visits = [(max(events, beats), events, words) for events, words in rng.integers(0, 50, (64, 2)).tolist()]
    mixing = MixTimeline(latency=8, path=PATH, spacing=0)
    mixing.add(visits=64, passes=1, width=8, beats=beats)
    mixing.advance(mixing.missing(0) - left if left else 10_000)
    needed = [mixing.missing(visit) for visit in range(64)]
    assert mixing.follow(visits, beats=beats, timing=TIMING) == _follow(visits, needed, beats)


@pytest.mark.parametrize(("bandwidth", "bus_bytes", "words"), [(2, 8, 0.25), (8, 8, 1), (100, 4, 1)])
def test_a_memory_is_no_faster_than_its_bus(bandwidth, bus_bytes, words):
    assert ExternalMemory(bandwidth=bandwidth).words(bus_bytes) == words
