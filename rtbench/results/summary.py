"""Numbers of a group of runs: how many are there, mean and standard error, the reduced statistic with its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtbench.errors import SuiteError
from rtbench.results.columns import BY_NAME
from rtbench.results.statistics import bootstrap_interval, iqm, mean, standard_error

NUMERIC = frozenset(name for name, column in BY_NAME.items() if column.type in ("int", "float"))
METRIC_COLUMN = {
    "eval_return": "eval_return_final",
    "eval_return_auc": "eval_return_auc",
    "train_return": "train_return_mean",
}
"""The returns that a suite may be about, by the names its file has for them."""


@dataclass(frozen=True)
class Summary:
    """Statistics of the finished runs of one group; None where there is nothing to compute them from.

    `low` and `high` bound the 95 % interval of what the suite reduces by (`how`: `iqm` or `mean`), `reduced`. Ages
    are means over runs of each run's median, in environment steps; `return_per_s` is per second of environment time.
    """

    done: int
    wanted: int
    statuses: Mapping[str, int]
    mean: float | None = None
    standard_error: float | None = None
    iqm: float | None = None
    low: float | None = None
    high: float | None = None
    observation_age_p50_steps: float | None = None
    oldest_age_p50_steps: float | None = None
    return_per_s: float | None = None
    how: str = "iqm"

    @property
    def reduced(self) -> float | None:
        """The score by what the suite reduces by, which `low` and `high` enclose."""
        return self.iqm if self.how == "iqm" else self.mean

    @property
    def status(self) -> str:
        """complete, incomplete, no value (runs are over and none has the metric), unsupported, failed or missing."""
        if self.done >= self.wanted and self.done:
            return "complete"
        if self.done:
            return "incomplete"
        for status in ("failed", "timeout", "unsupported"):
            if self.statuses.get(status):
                return "failed" if status == "timeout" else status
        return "no value" if self.statuses.get("ok", 0) >= self.wanted > 0 else "missing"

    @property
    def failed(self) -> int:
        """Runs that ended without a score."""
        return sum(count for status, count in self.statuses.items() if status in ("failed", "timeout"))


def metric_column(metric: str) -> str:
    """The column that a metric is read from: `extras` for a further number by namespace/name.

    Raises SuiteError for what is neither a return's name nor a column of numbers.
    """
    if "/" in metric:
        return "extras"
    column = METRIC_COLUMN.get(metric, metric)
    if column not in NUMERIC:
        raise SuiteError(
            f"no row has a number {metric!r}", place="metric", given=metric, allowed=[*METRIC_COLUMN, *sorted(NUMERIC)]
        )
    return column


def number_of(row: Mapping[str, Any], metric: str) -> float | None:
    """A row's number by the name a suite file has for it; None if the row has none."""
    column = metric_column(metric)
    found: float | None = row[column].get(metric) if column == "extras" else row[column]
    return found


def scores(rows: Sequence[Mapping[str, Any]], metric: str) -> list[float]:
    """The metric of the rows that are ok, in the order of seeds."""
    ordered = sorted(rows, key=lambda row: (row["seed"], row["run_id"]))
    found = [number_of(row, metric) for row in ordered if row["status"] == "ok"]
    return [value for value in found if value is not None]


def summarise(
    strata: Sequence[Sequence[Mapping[str, Any]]], *, wanted: int, metric: str, how: str, key: str
) -> Summary:
    """The summary of runs grouped by cell; `key` names the group and seeds the interval."""
    values = [scores(rows, metric) for rows in strata]
    pooled = [value for stratum in values for value in stratum]
    every = [row for rows in strata for row in rows]
    interval = bootstrap_interval([stratum for stratum in values if stratum], key, how=how)
    low, high = interval or (None, None)
    return Summary(
        done=len(pooled),
        wanted=wanted,
        statuses=dict(sorted(Counter(row["status"] for row in every).items())),
        mean=mean(pooled),
        standard_error=standard_error(pooled),
        iqm=iqm(pooled),
        low=low,
        high=high,
        observation_age_p50_steps=_mean_of(every, "observation_age_p50_steps"),
        oldest_age_p50_steps=_mean_of(every, "oldest_age_p50_steps"),
        return_per_s=_mean_of(every, "eval_return_per_s"),
        how=how,
    )


def _mean_of(rows: Sequence[Mapping[str, Any]], column: str) -> float | None:
    ordered = sorted(rows, key=lambda row: (row["seed"], row["run_id"]))
    return mean([row[column] for row in ordered if row["status"] == "ok" and row[column] is not None])
