"""A published figure beside ours: the difference in standard errors, if both sides tell how sure they are."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rtbench.suites.published import NORMALISED, Published


@dataclass(frozen=True)
class Difference:
    """Ours minus the published mean; `in_se` over the standard errors of both, None if ours has none (one run).

    `one_sided` says that the paper printed no spread, so that only ours counts.
    """

    value: float
    in_se: float | None
    one_sided: bool


def published_error(row: Published) -> float | None:
    """The standard error of a printed mean: as printed, or a standard deviation over √seeds; None if neither."""
    if row.spread is None:
        return None
    if row.spread_kind == "se":
        return row.spread
    if row.spread_kind == "sd" and row.seeds:
        return row.spread / math.sqrt(row.seeds)
    return None


def difference(row: Published, mean: float | None, standard_error: float | None) -> Difference | None:
    """Our mean against a printed return; None where there is none, or where what was printed is normalised."""
    if mean is None or row.metric == NORMALISED:
        return None
    theirs, value = published_error(row), mean - row.mean
    if standard_error is None:
        return Difference(value, None, theirs is None)
    both = math.hypot(standard_error, theirs or 0.0)
    return Difference(value, value / both if both else None, theirs is None)
