"""A suite's leaderboard as a table, rebuilt from rows and the suite file alone, the same on any machine.

Lines that lack seeds are marked incomplete and enter no comparison. Nothing here depends on time or on what is
installed beyond the parts the suite names.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtbench.errors import InvalidResults
from rtbench.parts import canonical_json
from rtbench.results.groups import NO_PROFILE, CellRows, LineKey, Lines, choose, group
from rtbench.results.statistics import bootstrap_interval, reduced, rounded
from rtbench.results.summary import Summary, scores, summarise
from rtbench.suites.identity import digest
from rtbench.suites.match import holds
from rtbench.suites.model import Suite
from rtbench.suites.published import ALL, NORMALISED, Published, PublishedKey, by_key

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
    "return_per_s",
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

    @functools.cached_property
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


def build(suite: Suite, rows: Iterable[Mapping[str, Any]]) -> Leaderboard:
    """The leaderboard of a suite from all rows there are, of this suite or of others that share its runs."""
    return _build(suite, choose(rows))


def build_all(suites: Iterable[Suite], rows: Iterable[Mapping[str, Any]]) -> list[Leaderboard]:
    """The leaderboards of several suites from the same rows."""
    chosen = choose(rows)
    return [_build(suite, chosen) for suite in suites]


def _build(suite: Suite, chosen: Sequence[Mapping[str, Any]]) -> Leaderboard:
    grouped = group(suite, chosen)
    rule = suite.leaderboard
    bases = _bases(suite, grouped.lines)
    published = by_key(suite.published)
    lines = [_line(suite, key, cells, bases, published) for key, cells in grouped.lines.items()]
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


def _line(
    suite: Suite,
    key: LineKey,
    cells: Mapping[str, CellRows],
    bases: _Bases,
    published: Mapping[PublishedKey, Published],
) -> Mapping[str, Any]:
    rule = suite.leaderboard
    strata = [cells[name].rows for name in sorted(cells)]
    wanted = _wanted(cells, suite)
    told = summarise(strata, wanted=wanted, metric=rule.metric, how=rule.reduce, key=_name(suite, key))
    excluded = sorted({cell.excluded for cell in cells.values() if cell.excluded})
    several = len(cells) > 1
    shown = not several or told.status == "complete"  # several cells are averaged only if all their runs are there
    comparable = shown and len({cell.environment_json for cell in cells.values()}) == 1
    budget = json.loads(key.budget_json)
    normalised = _normalised(suite, key, cells, told, bases)
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
        **normalised,
        **_published(published, cells, told.mean if comparable else None, normalised["normalised"]),
        **{name: rounded(getattr(told, name)) if shown else None for name in NUMBERS[-3:-1]},
        **{name: rounded(getattr(told, name)) if comparable else None for name in NUMBERS[-1:]},
        "reason": "; ".join(excluded or _reasons(strata)),
    }


def _name(suite: Suite, key: LineKey) -> str:
    return canonical_json([suite.name, *key.block, *key.values, *([key.cell_id] if key.cell_id else [])])


def _reasons(strata: Sequence[Sequence[Mapping[str, Any]]]) -> list[str]:
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
            place = (key.block, _world(cell))
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


def _world(cell: CellRows) -> str:
    """Which environment a cell is of, whatever the pace at which it is met: its id, if it has one."""
    return str(cell.view["environment"].get("id") or cell.environment_json)


def _normalised(
    suite: Suite, key: LineKey, cells: Mapping[str, CellRows], told: Summary, bases: _Bases
) -> dict[str, float | None]:
    rule = suite.leaderboard
    nothing: dict[str, float | None] = {"normalised": None, "normalised_low": None, "normalised_high": None}
    divisors = [bases.get((key.block, _world(cells[name]))) for name in sorted(cells)]
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


def _published(
    published: Mapping[PublishedKey, Published],
    cells: Mapping[str, CellRows],
    mean: float | None,
    normalised: float | None,
) -> dict[str, Any]:
    """The printed figure of a line; the difference is of means, or of normalised scores where such was printed."""
    names = ("mean", "spread", "spread_kind", "ticks", "metric")
    row = published.get(_published_key(cells))
    out = {
        f"published_{name}": rounded(value) if isinstance(value := getattr(row, name, None), float) else value
        for name in names
    }
    ours = None if row is None else rounded(normalised if row.metric == NORMALISED else mean)
    # First rounded, then subtracted: a difference near 0 would show the last bits.
    return {**out, "difference": None if row is None or ours is None else rounded(ours - row.mean)}


def _published_key(cells: Mapping[str, CellRows]) -> PublishedKey:
    """What a line of one cell, or of all environments or deltas of one method, answers to."""
    environments, methods, deltas = (
        set(values) for values in zip(*(c.published_key for c in cells.values()), strict=True)
    )

    def one(values: set[Any], many: Any) -> Any:
        return values.pop() if len(values) == 1 else many

    return (one(environments, ALL), one(methods, ""), one(deltas, ALL))
