"""Where the lines of a drawing run: along time in the gaps between rows, across rows where readers start.

A level is a place across time: row r is level 4·r; its boxes are entered a level below and left a level above, the gap
to the next row is 4·r + 2. Lines of different sources that would lie on each other get lanes of their own. Renderers
turn time into a place along x and levels into places along y.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from rtbench.drawing.picture import Picture
from rtbench.graph import ACTION, OBSERVATION

ROW = 4
"""Levels from row to row."""
OUTPUT = "output"
"""The row of applied actions; `action` is the row of past actions that layers read."""

Source = tuple[str, int]
Interval = tuple[Fraction | int, Fraction | int]
K = TypeVar("K")
P = TypeVar("P")


@dataclass(frozen=True)
class Route:
    """One line, from a source that is ready at `begin` to a reader that starts at `end`; `low`, `high` their levels."""

    source: Source
    begin: Fraction
    low: int
    end: Fraction
    high: int
    highlighted: bool
    recurrent: bool = False

    @property
    def points(self) -> tuple[tuple[Fraction, int], ...]:
        """The corners (time, level): straight up, or up into the gap, along it, and up or back to the reader."""
        if self.begin == self.end:
            return ((self.begin, self.low), (self.end, self.high))
        return ((self.begin, self.low), (self.begin, self.low + 1), (self.end, self.low + 1), (self.end, self.high))


def rows(drawn: Picture) -> tuple[str, ...]:
    """Rows from the bottom: observations, past actions if any are read, layers, applied actions."""
    past = (ACTION,) if any(arrow.source == ACTION for arrow in drawn.arrows) else ()
    return (OBSERVATION, *past, *drawn.layers, OUTPUT)


def routes(drawn: Picture) -> tuple[Route, ...]:
    """A line for every arrow, and one from a head to the step from which its action is applied."""
    level = {name: ROW * number for number, name in enumerate(rows(drawn))}
    starts = {(box.layer, box.tick): box.start for box in drawn.boxes}
    ends = {(box.layer, box.tick): box.end for box in drawn.boxes}
    found = [
        Route(
            (arrow.source, arrow.index),
            arrow.ready,
            level[arrow.source] + 1,
            starts[arrow.reader, arrow.tick],
            level[arrow.reader] - 1,
            arrow.highlighted,
            arrow.recurrent,
        )
        for arrow in drawn.arrows
    ]
    head = drawn.layers[-1]
    for each in drawn.applied:
        if each.fresh and each.tick is not None:
            source = (head, each.tick)
            lit = each.step == drawn.highlight
            found.append(Route(source, ends[source], level[head] + 1, Fraction(each.step), level[OUTPUT] - 1, lit))
    return tuple(found)


@dataclass(frozen=True)
class Lanes:
    """The lane of every source where it crosses rows at a time, and where it runs along a gap; how many there are."""

    across: dict[tuple[Source, Fraction], int]
    along: dict[tuple[Source, int], int]
    across_count: dict[Fraction, int]
    along_count: dict[int, int]


def lanes(found: Iterable[Route]) -> Lanes:
    """The fewest lanes, sources of higher rows first; lines of one source share theirs."""
    across: dict[tuple[Source, Fraction], Interval] = {}
    along: dict[tuple[Source, int], Interval] = {}
    order = sorted(found, key=lambda route: (-route.low, route.source[1], route.end, route.high))
    for route in order:
        for (time, level), (until, reached) in zip(route.points, route.points[1:], strict=False):
            if time == until:
                _widen(across, (route.source, time), min(level, reached), max(level, reached))
            else:
                _widen(along, (route.source, level), time, until)
    across_lane, across_count = _packed(across)
    along_lane, along_count = _packed(along)
    return Lanes(across_lane, along_lane, across_count, along_count)


def _widen(into: dict[K, Interval], key: K, low: Fraction | int, high: Fraction | int) -> None:
    before = into.get(key, (low, high))
    into[key] = (min(before[0], low), max(before[1], high))


def _packed(intervals: dict[tuple[Source, P], Interval]) -> tuple[dict[tuple[Source, P], int], dict[P, int]]:
    """First lane at that place in which nothing overlaps; how many lanes each place needs."""
    taken: dict[P, list[list[Interval]]] = {}
    lane: dict[tuple[Source, P], int] = {}
    for (source, place), (low, high) in intervals.items():
        rows_taken = taken.setdefault(place, [])
        free = (
            number
            for number, others in enumerate(rows_taken)
            if all(high < below or low > above for below, above in others)
        )
        number = next(free, len(rows_taken))
        if number == len(rows_taken):
            rows_taken.append([])
        rows_taken[number].append((low, high))
        lane[source, place] = number
    return lane, {place: len(found) for place, found in taken.items()}
