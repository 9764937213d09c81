"""Ranks that say no more than the intervals do: where intervals overlap, so do ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Interval = tuple[float, float]


@dataclass(frozen=True)
class Rank:
    """The places that an entry may have among `of`: as many others are surely better, as many surely worse."""

    best: int
    worst: int
    of: int

    def __str__(self) -> str:
        return str(self.best) if self.best == self.worst else f"{self.best}–{self.worst}"


def ranks(intervals: Sequence[Interval | None], *, higher: bool = True) -> list[Rank | None]:
    """The rank of each entry among those that have an interval; None for one without, or with nobody to compare to.

    One is surely better than another if its whole interval lies on the better side of the other's; intervals that touch
    overlap. `higher` says that higher values are better.
    """
    known = [interval for interval in intervals if interval is not None]
    if len(known) < 2:
        return [None] * len(intervals)
    out: list[Rank | None] = []
    for interval in intervals:
        if interval is None:
            out.append(None)
            continue
        above = sum(low > interval[1] for low, _ in known)
        below = sum(high < interval[0] for _, high in known)
        better, worse = (above, below) if higher else (below, above)
        out.append(Rank(1 + better, len(known) - worse, len(known)))
    return out
