"""Methods over all tasks as a page shows them: statistics of normalised scores, and which beats which how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtbench.report.views import Head, Line, Table, Value
from rtbench.results.comparison import Comparison
from rtbench.results.intervals import Estimate
from rtbench.results.pages import between
from rtbench.results.statistics import rounded


def estimate(of: Estimate | None) -> str:
    """'0.52 [0.4, 0.6]' in three digits."""
    if of is None:
        return ""
    values = [None if number is None else rounded(number, 3) for number in (of.value, of.low, of.high)]
    return between(*values)


@dataclass(frozen=True)
class ComparisonView:
    """Methods over all tasks, and which beats which how often."""

    title: str
    about: str
    table: Table
    names: tuple[str, ...]
    pairs: tuple[tuple[Value | None, ...], ...]
    left_out: tuple[tuple[str, str], ...]


STATISTIC_HEADS = (
    Head("IQM [95 %]", "number", (), "interquartile mean of normalised scores over all runs of all tasks"),
    Head("mean", "number"),
    Head("median", "number", (), "median over tasks"),
    Head("optimality gap", "number", (), "how far below the undelayed agent, at most; lower is better"),
)


def comparison(of: Comparison, title: str) -> ComparisonView:
    """A comparison as tables; P(row beats column) of every pair."""
    tops = [at for method in of.methods for at in (method.statistics["iqm"].value, method.statistics["iqm"].high or 0)]
    top = max(1e-9, *tops)

    def line(method: Any) -> Line:
        iqm = method.statistics["iqm"]
        bounds = [None if at is None else round(100 * max(0.0, at) / top, 2) for at in (iqm.low, iqm.high, iqm.value)]
        values = [
            Value(method.label, method.label),
            Value(str(method.rank), method.rank.best) if method.rank else Value(""),
            Value(str(method.runs), method.runs),
            Value(estimate(iqm), iqm.value, low=bounds[0], high=bounds[1], at=bounds[2]),
        ]
        values += [
            Value(estimate(method.statistics[name]), method.statistics[name].value)
            for name in ("mean", "median", "optimality_gap")
        ]
        return Line(tuple(values), "complete", "", False)

    heads = (Head("method", "text"), Head("rank", "number"), Head("runs", "number"), *STATISTIC_HEADS)
    lines = tuple(line(method) for method in of.methods)
    pairs = tuple(
        tuple(_pair(of.improvement.get((a, b))) for b in range(len(of.methods))) for a in range(len(of.methods))
    )
    about = f"{len(of.tasks)} tasks: {', '.join(of.tasks)}"
    return ComparisonView(
        title,
        about,
        Table(title, about, of.block[2], (), heads, lines, 0),
        tuple(method.label for method in of.methods),
        pairs if of.improvement else (),
        tuple(of.left_out.items()),
    )


def _pair(of: Estimate | None) -> Value | None:
    if of is None:
        return None
    sure = of.low is not None and of.high is not None and (of.low > 0.5 or of.high < 0.5)
    return Value(estimate(of), of.value, at=round(100 * of.value, 1), tone="sure" if sure else "")
