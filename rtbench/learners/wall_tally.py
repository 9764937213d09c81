"""Counting what happened on the wall clock as a loop counts what it does on the virtual one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from rtbench.learners.backs import Backs
from rtbench.learners.tally import Tally, told_by

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rtbench.learners.tally import Counts
    from rtbench.realtime.recording import Stretch


class Counted:
    """What a world on the wall clock counts, episode by episode, kept beside it as it is told."""

    def __init__(self) -> None:
        self.episodes: list[dict[str, float]] = []

    def begin(self) -> None:
        """An episode is reset."""
        self.episodes.append({})

    def note(self, info: Mapping[str, Any]) -> None:
        """What a step said."""
        if counts := told_by(info):
            self.episodes[-1] = dict(counts)


def take(tally: Tally, episodes: list[dict[str, float]], finished: int) -> list[Counts]:
    """Add what episodes counted to a tally; of the finished ones what each did, nothing where worlds count nothing."""
    for counts in episodes:
        tally.count({}, counts)
    return [counts for counts in episodes[:finished] if counts]


def count(tally: Tally, stretch: Stretch, backs: Backs, *, holds: bool) -> list[float]:
    """Add a stretch to a tally; of every finished episode the share of its return that β's steps earned.

    An episode that was cut off counts like the others, except among returns.
    """
    line = stretch.timeline
    fresh = line.source >= 0
    tally.env_steps += line.steps
    tally.ticks += len(line.process)
    tally.arrived += int(((line.apply_step < line.steps) & ~line.dropped).sum())
    tally.fresh += int(fresh.sum())
    tally.continued += int((line.offset > 0).sum())
    newest, oldest = line.ages(1 + backs.newest, 1 + backs.oldest, holds=holds)
    seeing = ~np.ma.getmaskarray(newest)
    if backs.blind and len(line.process):
        # The latest arrived inference is behind a held action, too.
        behind = line.source.copy()
        for step in np.flatnonzero(seeing & ~fresh):
            behind[step] = behind[step - 1]
        seeing &= _ticks(line.previous)[behind] >= backs.newest
    for ages, counts in ((newest, tally.newest), (oldest, tally.oldest)):
        counts.update(Counter(np.asarray(ages)[seeing].tolist()))
    earned = []
    for first, end in stretch.episodes:
        acted = np.flatnonzero(fresh[first:end])
        startup = int(acted[0]) if len(acted) else end - first
        tally.startup += startup
        tally.inaction += int((~fresh[first + startup : end]).sum())
        tally.intervals.update(Counter(np.diff(acted).tolist()))
        earned.append(float(stretch.rewards[first:end][~fresh[first:end]].sum()))
    return earned[: len(stretch.lengths)]


def _ticks(
    previous: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """How many inferences of the same process and episode came before each."""
    ticks = np.zeros(len(previous), np.int64)
    for index, before in enumerate(previous.tolist()):
        ticks[index] = 0 if before < 0 else ticks[before] + 1
    return ticks
