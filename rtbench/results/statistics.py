"""Mean and standard error, interquartile mean, and its stratified bootstrap interval.

Source: Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, Section 4 (interquartile
mean, stratified bootstrap over tasks). Random numbers are seeded from the group's name, so that a table can be rebuilt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rtbench.seeds import generator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RESAMPLES = 2_000
LEVEL = 0.95
_BLOCK = 500
"""Resamples at a time; about what stays in a processor's cache, which halves the time."""


def mean(values: Sequence[float]) -> float | None:
    """The mean, or None of nothing."""
    return sum(values) / len(values) if values else None


def standard_error(values: Sequence[float]) -> float | None:
    """Sample standard deviation (n − 1) over √n; None for fewer than two values."""
    count = len(values)
    if count < 2:
        return None
    middle = sum(values) / count
    variance: float = sum((value - middle) ** 2 for value in values) / (count - 1)
    return math.sqrt(variance / count)


def iqm(values: Sequence[float]) -> float | None:
    """The mean without the lowest and the highest quarter (⌊n/4⌋ values each); None of nothing."""
    if not values:
        return None
    cut = len(values) // 4
    inner = sorted(values)[cut : len(values) - cut]
    return sum(inner) / len(inner)


def reduced(values: Sequence[float], how: str) -> float | None:
    """`iqm` or `mean`, as a suite's leaderboard asks."""
    return iqm(values) if how == "iqm" else mean(values)


def bootstrap_interval(
    strata: Sequence[Sequence[float]], key: str, *, how: str = "iqm", resamples: int = RESAMPLES
) -> tuple[float, float] | None:
    """The 95 % percentile interval of the statistic, values drawn anew within each stratum (task); None if any has < 2.

    `key` names the group and seeds the draws, `how` is `iqm` or `mean`.
    """
    import numpy as np

    if not strata or any(len(stratum) < 2 for stratum in strata):
        return None
    random = generator(0, "bootstrap", key)
    values = [np.asarray(stratum, dtype=np.float64) for stratum in strata]
    drawn = [random.integers(0, len(stratum), size=(resamples, len(stratum))) for stratum in strata]
    statistics = np.empty(resamples)
    for begin in range(0, resamples, _BLOCK):
        block = slice(begin, begin + _BLOCK)
        resampled = [np.take(stratum, indices[block]) for stratum, indices in zip(values, drawn, strict=True)]
        statistics[block] = _rows_reduced(np.concatenate(resampled, axis=1), how)
    low, high = np.quantile(statistics, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _rows_reduced(values: NDArray[np.float64], how: str) -> Any:
    """The statistic of every row of [resamples, values], which is sorted in place."""
    if how == "mean":
        return values.mean(axis=1)
    cut = values.shape[1] // 4
    values.sort(axis=1)
    return values[:, cut : values.shape[1] - cut].mean(axis=1)


def rounded(value: float | None, digits: int = 6) -> float | None:
    """To significant digits, so that the last bits of a sum on another machine do not change a table."""
    return None if value is None else float(f"{value:.{digits}g}")
