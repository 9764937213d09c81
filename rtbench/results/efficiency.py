"""Sample efficiency: what agents earn after how much training, of one task or over several.

A curve has only the points that all of its runs have, so that no point stands for others than the rest. Source: Agarwal
et al. (see `rtbench.results.aggregates`), Section 4.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtbench.results.aggregates import STATISTICS
from rtbench.results.intervals import Estimate, Scores, estimate
from rtbench.results.statistics import RESAMPLES

Curve = Mapping[int, float]
"""Mean return by evaluation, of one run: units of training → return."""


@dataclass(frozen=True)
class CurvePoint:
    """After `units` of training."""

    units: int
    return_: Estimate


def curve_of(row: Mapping[str, Any]) -> Curve:
    """A row's evaluations; empty if it has none or is not ok."""
    if row["status"] != "ok":
        return {}
    return dict(zip(row["eval_step"] or (), row["eval_return"] or (), strict=False))


def sample_efficiency(
    tasks: Sequence[Sequence[Curve]],
    key: str,
    *,
    how: str = "iqm",
    by: Sequence[float] | None = None,
    resamples: int = RESAMPLES,
) -> tuple[CurvePoint, ...]:
    """The statistic of all runs after each number of units that all of them were evaluated at.

    `tasks` holds the curves of runs by task; `by` is what the returns of each task are divided by. Empty if a task has
    no curve.
    """
    runs = [curve for curves in tasks for curve in curves]
    if not runs or not all(tasks):
        return ()
    common = set(runs[0]).intersection(*runs[1:])
    points = []
    for units in sorted(common):
        scores: Scores = [
            [curve[units] / base for curve in curves]
            for curves, base in zip(tasks, by or [1.0] * len(tasks), strict=True)
        ]
        found = estimate(scores, STATISTICS[how], f"{key}/{units}", resamples=resamples)
        assert found is not None
        points.append(CurvePoint(units, found))
    return tuple(points)
