"""A suite's leaderboard as a table, rebuilt from rows and the suite file alone, the same on any machine.

Lines that lack seeds are marked incomplete and enter no comparison. Nothing here depends on time or on what is
installed beyond the parts the suite names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rtbench.errors import InvalidResults
from rtbench.parts import canonical_json
from rtbench.results.groups import NO_PROFILE, CellRows, LineKey, Lines, group
from rtbench.results.schema import Row
from rtbench.results.statistics import bootstrap_interval, reduced, rounded
from rtbench.results.summary import Summary, scores, summarise
from rtbench.suites.identity import digest
from rtbench.suites.match import holds
from rtbench.suites.model import Suite

NUMBERS = (
    "mean",
    "standard_error",
    "iqm",
    "low",
    "high",
    "normalised",
    "normalised_low",
    "normalised_high",
    "published_mean",
    "published_spread",
    "difference",
    "observation_age_p50_steps",
    "oldest_age_p50_steps",
)
"""Columns rounded to six significant digits."""

_Bases = dict[tuple[tuple[str, str, str, str], str], float | None]


@dataclass(frozen=True)
class Leaderboard:
    """The table of a suite: `columns` in order, one dictionary per line.

    `superseded` counts rows that were left out because a part's revision has risen since.
    """

    suite: str
    revision: int
    title: str
    source: str
    metric: str
    reduce: str
    group_by: tuple[str, ...]
    columns: tuple[str, ...]
    lines: tuple[Mapping[str, Any], ...]
    superseded: int

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical content."""
        return digest(
            {
                "suite": self.suite,
                "revision": self.revision,
                "metric": self.metric,
                "reduce": self.reduce,
                "columns": list(self.columns),
                "lines": [dict(line) for line in self.lines],
            }
        )


def build(suite: Suite, rows: Iterable[Row]) -> Leaderboard:
    """The leaderboard of a suite from all rows there are, of this suite or of others that share its runs."""
    grouped = group(suite, rows)
    rule = suite.leaderboard
    bases = _bases(suite, grouped.lines)
    lines = [_line(suite, key, cells, bases) for key, cells in grouped.lines.items()]
    order = {profile: number for number, profile in enumerate(suite.profiles)}
    lines.sort(key=lambda line: _order(line, order, rule.group_by))
    return Leaderboard(
        suite=suite.name,
        revision=suite.revision,
        title=suite.title,
        source=suite.source,
        metric=rule.metric,
        reduce=rule.reduce,
        group_by=tuple(rule.group_by),
        columns=tuple(lines[0]) if lines else (),
        lines=tuple(lines),
        superseded=grouped.superseded,
    )


def _order(line: Mapping[str, Any], profiles: Mapping[str, int], group_by: list[str]) -> tuple[Any, ...]:
    values = tuple((isinstance(line[name], str), line[name]) for name in group_by if line[name] is not None)
    return (profiles.get(line["profile"], len(profiles)), line["budget"], line["clock"], line["machine_class"], values)


def _wanted(cells: Mapping[str, CellRows], suite: Suite) -> int:
    """Runs wanted of a line; where no profile says, as many seeds as the suite's file asks for."""
    return sum(len(cell.seeds) or suite.document.seeds.count for cell in cells.values() if not cell.excluded)


def _line(suite: Suite, key: LineKey, cells: Mapping[str, CellRows], bases: _Bases) -> Mapping[str, Any]:
    rule = suite.leaderboard
    strata = [cells[name].rows for name in sorted(cells)]
    wanted = _wanted(cells, suite)
    told = summarise(strata, wanted=wanted, metric=rule.metric, how=rule.reduce, key=_name(suite, key))
    excluded = sorted({cell.excluded for cell in cells.values() if cell.excluded})
    several = len(cells) > 1
    shown = not several or told.status == "complete"  # several cells are averaged only if all their runs are there
    comparable = shown and len({cell.environment_json for cell in cells.values()}) == 1
    budget = json.loads(key.budget_json)
    return {
        "profile": key.profile,
        "budget": f"{budget['steps']} {budget['unit']}",
        **dict(zip(rule.group_by, key.values, strict=True)),
        "clock": key.clock,
        "machine_class": key.machine_class,
        "status": "excluded" if excluded and not wanted else told.status,
        "seeds_done": told.done,
        "seeds_wanted": wanted,
        "failed": told.failed,
        **{name: rounded(getattr(told, name)) if comparable else None for name in NUMBERS[:5]},
        **_normalised(suite, key, cells, told, bases),
        **_published(suite, cells, told),
        **{name: rounded(getattr(told, name)) if shown else None for name in NUMBERS[-2:]},
        "reason": "; ".join(excluded or _reasons(strata)),
    }


def _name(suite: Suite, key: LineKey) -> str:
    return canonical_json([suite.name, *key.block, *key.values, *([key.cell_id] if key.cell_id else [])])


def _reasons(strata: list[list[Row]]) -> list[str]:
    return sorted({row["reason"] or row["status"] for rows in strata for row in rows if row["status"] != "ok"})


def _bases(suite: Suite, lines: Lines) -> _Bases:
    """The score that each environment's others are divided by, per block; None where its runs are not all there.

    Raises InvalidResults if two cells of one environment both match under a profile, which would make the base
    ambiguous; outside profiles there is no base then.
    """
    rule = suite.leaderboard
    found: _Bases = {}
    if rule.normalise is None:
        return found
    for key, cells in lines.items():
        for cell in cells.values():
            if not holds(rule.normalise.against, cell.view):
                continue
            place = (key.block, cell.environment_json)
            if place in found and key.profile == NO_PROFILE:
                found[place] = None
                continue
            if place in found:
                raise InvalidResults(
                    "two cells of one environment match leaderboard.normalise.against",
                    place=suite.place("leaderboard", "normalise"),
                    hint="narrow the condition",
                )
            values = scores(cell.rows, rule.metric)
            complete = len(values) >= (len(cell.seeds) or suite.document.seeds.count)
            found[place] = reduced(values, rule.reduce) if complete else None
    return found


def _normalised(
    suite: Suite, key: LineKey, cells: Mapping[str, CellRows], told: Summary, bases: _Bases
) -> dict[str, float | None]:
    rule = suite.leaderboard
    nothing: dict[str, float | None] = {"normalised": None, "normalised_low": None, "normalised_high": None}
    divisors = [bases.get((key.block, cells[name].environment_json)) for name in sorted(cells)]
    if told.status != "complete" or any(divisor is None or divisor <= 0 for divisor in divisors):
        return nothing
    strata = [
        [value / divisor for value in scores(cells[name].rows, rule.metric)]
        for name, divisor in zip(sorted(cells), divisors, strict=True)
        if divisor is not None
    ]
    pooled = [value for stratum in strata for value in stratum]
    interval = bootstrap_interval(strata, _name(suite, key) + "/normalised", how=rule.reduce) or (None, None)
    return {
        "normalised": rounded(reduced(pooled, rule.reduce)),
        "normalised_low": rounded(interval[0]),
        "normalised_high": rounded(interval[1]),
    }


def _published(suite: Suite, cells: Mapping[str, CellRows], told: Summary) -> dict[str, Any]:
    """The printed figure of a line of one cell; the difference is of means."""
    names = ("published_mean", "published_spread", "published_spread_kind", "published_ticks", "difference")
    by_key = {row.key: row for row in suite.published}
    row = by_key.get(next(iter(cells.values())).published_key) if len(cells) == 1 else None
    if row is None:
        return dict.fromkeys(names)
    ours = rounded(told.mean)  # first rounded, then subtracted: a difference near 0 would show the last bits
    difference = None if ours is None else rounded(ours - row.mean)
    return dict(
        zip(names, (rounded(row.mean), rounded(row.spread), row.spread_kind, row.ticks, difference), strict=True)
    )
