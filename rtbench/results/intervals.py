"""Point estimates with 95 % intervals: runs are drawn anew within each task, the tasks stay as they are.

Random numbers are seeded from a key, so that the same rows give the same interval on any machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rtbench.results import aggregates
from rtbench.results.aggregates import Statistic
from rtbench.results.statistics import LEVEL, RESAMPLES, rounded
from rtbench.seeds import generator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Scores = Sequence[Sequence[float]]
"""The scores of runs, by task."""


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval, which is None where a task has fewer than two runs."""

    value: float
    low: float | None = None
    high: float | None = None

    def data(self) -> dict[str, float | None]:
        """Plain data, six significant digits."""
        return {name: rounded(value) for name, value in asdict(self).items()}


def resampled(scores: Scores, key: str, resamples: int = RESAMPLES) -> list[NDArray[np.float64]]:
    """Runs drawn with replacement within each task; [resamples, runs] per task.

    The draws of `rtbench.results.statistics.bootstrap_interval` for the same key.
    """
    import numpy as np

    random = generator(0, "bootstrap", key)
    values = [np.asarray(runs, dtype=np.float64) for runs in scores]
    return [runs[random.integers(0, len(runs), size=(resamples, len(runs)))] for runs in values]


def estimate(scores: Scores, statistic: Statistic, key: str, *, resamples: int = RESAMPLES) -> Estimate | None:
    """A statistic of the runs of several tasks; None if a task has no run."""
    if not scores or not all(scores):
        return None
    (value,) = statistic(_as_they_are(scores))
    if any(len(runs) < 2 for runs in scores):
        return Estimate(float(value))
    return Estimate(float(value), *_interval(statistic(resampled(scores, key, resamples))))


def improvement(ours: Scores, theirs: Scores, key: str, *, resamples: int = RESAMPLES) -> Estimate | None:
    """The probability that a run of ours beats one of theirs on the same task; both are drawn anew independently.

    Tasks in the same order on both sides. None if a task has no run on one.
    """
    if not ours or not all((*ours, *theirs)):
        return None
    (value,) = aggregates.improvement(_as_they_are(ours), _as_they_are(theirs))
    if any(len(runs) < 2 for runs in (*ours, *theirs)):
        return Estimate(float(value))
    drawn = (resampled(scores, f"{key}/{side}", resamples) for side, scores in (("ours", ours), ("theirs", theirs)))
    return Estimate(float(value), *_interval(aggregates.improvement(*drawn)))


def profile(
    scores: Scores, thresholds: Sequence[float], key: str, *, resamples: int = RESAMPLES
) -> tuple[Estimate, ...]:
    """A performance profile: at each threshold the share of runs above it, with pointwise intervals."""
    if not scores or not all(scores):
        return ()
    actual = _as_they_are(scores)
    drawn = resampled(scores, key, resamples) if all(len(runs) > 1 for runs in scores) else None
    out = []
    for threshold in thresholds:
        statistic = aggregates.share_above(threshold)
        bounds = _interval(statistic(drawn)) if drawn else (None, None)
        out.append(Estimate(float(statistic(actual)[0]), *bounds))
    return tuple(out)


def _as_they_are(scores: Scores) -> list[NDArray[np.float64]]:
    """A single resample: the runs themselves."""
    import numpy as np

    return [np.asarray(runs, dtype=np.float64)[None, :] for runs in scores]


def _interval(statistics: Any) -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(statistics, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
