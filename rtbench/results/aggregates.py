"""Statistics of runs grouped by task, each for many resamples at once: a point estimate is a single resample.

Shapes: a list with one array [resamples, runs of the task] per task; the answer is [resamples]. Every task weighs the
same in a mean over tasks, every run the same in an interquartile mean over all of them, as in the source: Agarwal et
al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, Section 4 and Appendix A.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Tasks = Sequence["NDArray[np.float64]"]
"""Scores by task, each [resamples, runs]."""
Statistic = Callable[[Tasks], Any]

TARGET = 1.0
"""The score from which an optimality gap counts: of normalised scores, the agent that others are divided by."""


def iqm(tasks: Tasks) -> Any:
    """Mean of all runs without the lowest and the highest quarter, ⌊n/4⌋ of n each."""
    import numpy as np

    pooled = np.sort(np.concatenate(tasks, axis=1), axis=1)
    cut = pooled.shape[1] // 4
    return pooled[:, cut : pooled.shape[1] - cut].mean(axis=1)


def mean(tasks: Tasks) -> Any:
    """Mean over tasks of the mean over runs."""
    return _of_tasks(tasks).mean(axis=1)


def median(tasks: Tasks) -> Any:
    """Median over tasks of the mean over runs."""
    import numpy as np

    return np.median(_of_tasks(tasks), axis=1)


def optimality_gap(tasks: Tasks) -> Any:
    """By how much scores fall short of `TARGET`, what exceeds it counting as just reaching it; lower is better."""
    import numpy as np

    return _of_tasks([np.maximum(0.0, TARGET - scores) for scores in tasks]).mean(axis=1)


def share_above(threshold: float) -> Statistic:
    """The share of runs with a score above a threshold, every task weighing the same."""

    def statistic(tasks: Tasks) -> Any:
        return _of_tasks([scores > threshold for scores in tasks]).mean(axis=1)

    return statistic


def improvement(ours: Tasks, theirs: Tasks) -> Any:
    """The probability that a run of ours is better than one of theirs on the same task, mean over tasks; ties count ½.

    Mann and Whitney's U over the number of pairs.
    """
    import numpy as np

    shares = []
    for one, other in zip(ours, theirs, strict=True):
        above = one[:, :, None] > other[:, None, :]
        equal = one[:, :, None] == other[:, None, :]
        shares.append(above.mean(axis=(1, 2)) + equal.mean(axis=(1, 2)) / 2)
    return np.mean(shares, axis=0)


STATISTICS: Mapping[str, Statistic] = {
    "iqm": iqm,
    "mean": mean,
    "median": median,
    "optimality_gap": optimality_gap,
}
"""What a comparison across tasks tells, by name."""


def _of_tasks(tasks: Sequence[Any]) -> Any:
    """Mean over the runs of each task, [resamples, tasks]."""
    import numpy as np

    return np.stack([scores.mean(axis=1) for scores in tasks], axis=1)
