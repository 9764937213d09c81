"""Two ways of doing one thing, timed in turn in one run: medians per round, and the ratio with its spread."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

Work = Callable[[], object]


@dataclass(frozen=True)
class Ratio:
    """One line: milliseconds of the plain way and of ours per unit of work, and plain ÷ ours per round."""

    work: str
    plain_ms: float
    ours_ms: float
    ratio: float
    lowest: float
    highest: float
    target: float | None = None


def median_s(work: Work, calls: int) -> float:
    """Median seconds of a call: a shared machine stalls now and then for milliseconds."""
    found = []
    for _ in range(calls):
        begin = time.perf_counter()
        work()
        found.append(time.perf_counter() - begin)
    return statistics.median(found)


def compare(
    work: str,
    plain: Work,
    ours: Work,
    *,
    calls: int,
    rounds: int,
    units: int = 1,
    ours_units: int | None = None,
    target: float | None = None,
) -> Ratio:
    """`calls` calls of each in every round, in turn; a call does `units` units of work, ours `ours_units`."""
    for _ in range(3):
        plain()
        ours()
    found = [
        (median_s(plain, calls) / units * 1e3, median_s(ours, calls) / (ours_units or units) * 1e3)
        for _ in range(rounds)
    ]
    return of_rounds(work, found, target)


def of_rounds(work: str, found: Sequence[tuple[float, float]], target: float | None = None) -> Ratio:
    """The line for rounds of (plain, ours) in milliseconds."""
    ratios = [theirs / mine for theirs, mine in found]
    slow, fast = (statistics.median(column) for column in zip(*found, strict=True))
    return Ratio(work, slow, fast, statistics.median(ratios), min(ratios), max(ratios), target)


def table(title: str, ratios: Sequence[Ratio]) -> str:
    """The lines as a table in Markdown."""
    lines = [
        title,
        "",
        "| work | plain, ms | rtbench, ms | ratio (lowest … highest) | wanted |",
        "|---|---|---|---|---|",
    ]
    for r in ratios:
        wanted = "–" if r.target is None else f"{r.target:g} {'reached' if r.ratio >= r.target else 'missed'}"
        spread = f"{r.ratio:.2f} ({r.lowest:.2f} … {r.highest:.2f})"
        lines.append(f"| {r.work} | {r.plain_ms:.3f} | {r.ours_ms:.3f} | {spread} | {wanted} |")
    return "\n".join(lines)


def as_json(conditions: dict[str, object], ratios: Sequence[Ratio]) -> str:
    """Conditions and lines, for keeping."""
    return json.dumps({"conditions": conditions, "ratios": [asdict(r) for r in ratios]}, indent=2)
