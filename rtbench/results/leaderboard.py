"""A suite's leaderboard as a table, rebuilt from rows and the suite file alone, the same on any machine.

Lines that lack seeds are marked incomplete and enter no comparison. Nothing here depends on time or on what is
installed beyond the parts the suite names.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtbench.errors import InvalidResults
from rtbench.parts import canonical_json
from rtbench.results.groups import NO_PROFILE, CellRows, LineKey, Lines, choose, enters, group
from rtbench.results.statistics import bootstrap_interval, mean, reduced, rounded
from rtbench.results.summary import Summary, scores, summarise
from rtbench.suites.document import FigureTable, Match
from rtbench.suites.expand import expand
from rtbench.suites.identity import digest
from rtbench.suites.match import holds, view
from rtbench.suites.model import Suite, load_suite
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
    "normalised_mean",
    "published_mean",
    "published_spread",
    "difference",
    "observation_age_p50_steps",
    "oldest_age_p50_steps",
    "return_per_s",
)
"""Columns rounded to six significant digits."""

_OWN = "rtbench/"
"""How the names of our learners' further numbers begin."""
Place = tuple[tuple[str, str, str, str], str]
"""A block and an environment."""


@dataclass(frozen=True)
class Scale:
    """What is 0 and what is 1 for scores of one environment: a floor and an agent, each (reduced score, mean)."""

    agent: tuple[float, float]
    floor: tuple[float, float] = (0.0, 0.0)

    @property
    def usable(self) -> bool:
        """Whether the agent is above the floor, by both."""
        return all(top > bottom for top, bottom in zip(self.agent, self.floor, strict=True))

    def of(self, values: Sequence[float], which: int = 0) -> list[float]:
        """Scores normalised; `which` is 0 for the reduced score, 1 for the mean."""
        top, bottom = self.agent[which], self.floor[which]
        return [(value - bottom) / (top - bottom) for value in values]


_Scales = Mapping[Place, Scale | None]


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
    figures: tuple[FigureTable, ...] = ()
    """What is drawn beside it; no part of its content."""
    made_of: tuple[tuple[LineKey, Mapping[str, CellRows]], ...] = field(default=(), repr=False, compare=False)
    """The cells of each line, with their rows, in the order of `lines`; no part of its content."""
    scales: Mapping[Place, Scale | None] = field(default_factory=dict, repr=False, compare=False)
    """What scores are normalised by."""

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
    scales = _scales(suite, grouped.lines)
    printed = _Printed.of(suite)
    made = [(_line(suite, key, cells, scales, printed), (key, cells)) for key, cells in grouped.lines.items()]
    order = {profile: number for number, profile in enumerate(suite.profiles)}
    made.sort(key=lambda each: _order(each[0], order, rule.group_by))
    lines = [line for line, _ in made]
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
        figures=tuple(suite.document.figures),
        made_of=tuple(cells for _, cells in made),
        scales=scales,
    )


def _order(line: Mapping[str, Any], profiles: Mapping[str, int], group_by: list[str]) -> tuple[Any, ...]:
    values = tuple((isinstance(line[name], str), line[name]) for name in group_by if line[name] is not None)
    return (profiles.get(line["profile"], len(profiles)), line["budget"], line["clock"], line["machine_class"], values)


def _wanted(cells: Mapping[str, CellRows], suite: Suite) -> int:
    """Runs wanted of a line; where no profile says, as many seeds as the suite's file asks for."""
    return sum(len(cell.seeds) or suite.seeds_asked for cell in cells.values() if not cell.excluded)


def _line(
    suite: Suite,
    key: LineKey,
    cells: Mapping[str, CellRows],
    scales: _Scales,
    printed: _Printed,
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
    normalised = _normalised(suite, key, cells, told, scales)
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
        **_published(printed.beside(cells), told.mean if comparable else None, normalised["normalised_mean"]),
        **{name: rounded(getattr(told, name)) if shown else None for name in NUMBERS[-3:-1]},
        **{name: rounded(getattr(told, name)) if comparable else None for name in NUMBERS[-1:]},
        "further": _further(strata),
        "reason": "; ".join(excluded or _reasons(strata)),
    }


def _name(suite: Suite, key: LineKey) -> str:
    return canonical_json([suite.name, *key.block, *key.values, *([key.cell_id] if key.cell_id else [])])


def _reasons(strata: Sequence[Sequence[Mapping[str, Any]]]) -> list[str]:
    return sorted({row["reason"] or row["status"] for rows in strata for row in rows if row["status"] != "ok"})


def _further(strata: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    """Means over a line's runs of the numbers that learners tell beside their score, canonical JSON; empty if none."""
    found: dict[str, list[float]] = {}
    for row in (row for rows in strata for row in rows if row["status"] == "ok"):
        for name, value in row["extras"].items():
            if name.startswith(_OWN):
                found.setdefault(name.removeprefix(_OWN), []).append(value)
    told = {name: rounded(mean(values)) for name, values in sorted(found.items())}
    return canonical_json(told) if told else ""


def _scales(suite: Suite, lines: Lines) -> _Scales:
    """What each environment's scores are normalised by, per block; None where its runs are not all there."""
    rule = suite.leaderboard.normalise
    if rule is None:
        return {}
    agents = _bases(suite, lines, rule.against, "against")
    if rule.floor is None:
        return {place: Scale(agent) if agent else None for place, agent in agents.items()}
    floors = _bases(suite, lines, rule.floor, "floor")
    both = {place: (agent, floors.get(place)) for place, agent in agents.items()}
    return {place: Scale(agent, floor) if agent and floor else None for place, (agent, floor) in both.items()}


def _bases(suite: Suite, lines: Lines, match: Match, name: str) -> dict[Place, tuple[float, float] | None]:
    """(reduced score, mean) of each environment's cell that matches, per block; None where its runs are not all there.

    Raises InvalidResults if two cells of one environment both match under a profile, which would make the base
    ambiguous; outside profiles there is no base then.
    """
    rule = suite.leaderboard
    found: dict[Place, tuple[float, float] | None] = {}
    for key, cells in lines.items():
        for cell in cells.values():
            if not holds(match, cell.view):
                continue
            place = (key.block, world_of(cell))
            if place in found and key.profile == NO_PROFILE:
                found[place] = None
                continue
            if place in found:
                raise InvalidResults(
                    f"two cells of one environment match leaderboard.normalise.{name}",
                    place=suite.place("leaderboard", "normalise"),
                    hint="narrow the condition",
                )
            values = scores(cell.rows, rule.metric)
            complete = len(values) >= (len(cell.seeds) or suite.seeds_asked)
            found[place] = (reduced(values, rule.reduce) or 0.0, mean(values) or 0.0) if complete else None
    return found


def world_of(cell: CellRows) -> str:
    """Which environment a cell is of, whatever the pace at which it is met: its id, if it has one."""
    return str(cell.view["environment"].get("id") or cell.environment_json)


def _normalised(
    suite: Suite, key: LineKey, cells: Mapping[str, CellRows], told: Summary, scales: _Scales
) -> dict[str, float | None]:
    rule = suite.leaderboard
    nothing = dict.fromkeys(("normalised", "normalised_low", "normalised_high", "normalised_mean"))
    there = [scales.get((key.block, world_of(cells[name]))) for name in sorted(cells)]
    by = [scale for scale in there if scale is not None and scale.usable]
    found = [scores(cells[name].rows, rule.metric) for name in sorted(cells)]
    if told.status != "complete" or len(by) < len(there):
        return nothing
    strata = [scale.of(values) for values, scale in zip(found, by, strict=True)]
    pooled = [value for stratum in strata for value in stratum]
    plain = [value for values, scale in zip(found, by, strict=True) for value in scale.of(values, 1)]
    interval = bootstrap_interval(strata, _name(suite, key) + "/normalised", how=rule.reduce) or (None, None)
    return {
        "normalised": rounded(reduced(pooled, rule.reduce)),
        "normalised_low": rounded(interval[0]),
        "normalised_high": rounded(interval[1]),
        "normalised_mean": rounded(mean(plain)),  # means over means, as papers print them
    }


@dataclass(frozen=True)
class _Printed:
    """A suite's printed figures by what they stand for; averages by family, method and delta.

    A family is the environments of one part; an average over all environments is over those that the leaderboard has
    of it, and over all deltas where it says so.
    """

    rows: Mapping[PublishedKey, Published]
    averages: Mapping[tuple[str, str, float | str], Published] = field(default_factory=dict)
    environments: Mapping[str, set[str]] = field(default_factory=dict)
    deltas: Mapping[str, set[float | str]] = field(default_factory=dict)

    @classmethod
    def of(cls, suite: Suite) -> _Printed:
        rows = by_key(suite.published)
        averages = {(row.family, row.method, row.delta): row for row in suite.published if row.environment == ALL}
        if not averages:
            return cls(rows)
        environments: dict[str, set[str]] = {}
        deltas: dict[str, set[float | str]] = {}
        for cell in expand(load_suite(str(suite.path)), support=False):
            if cell.cell.interaction.execution != "instant" and enters(suite, view(cell.cell)):
                environment, _, delta = cell.published_key
                environments.setdefault(cell.cell.environment.name, set()).add(environment)
                deltas.setdefault(cell.cell.environment.name, set()).add(delta)
        return cls(rows, averages, environments, deltas)

    def beside(self, cells: Mapping[str, CellRows]) -> Published | None:
        """The figure of a line of one cell, or of one method over exactly what the printed average is over."""
        if len(cells) == 1:
            return self.rows.get(next(iter(cells.values())).published_key)
        environments, methods, deltas = map(set, zip(*(c.published_key for c in cells.values()), strict=True))
        families = {str(cell.view["environment"]["use"]) for cell in cells.values()}
        if len(families) != 1 or len(methods) != 1:
            return None
        family, method = families.pop(), str(methods.pop())
        if environments != self.environments.get(family):
            return None
        over = [*(deltas if len(deltas) == 1 else ()), *([ALL] if deltas == self.deltas[family] else ())]
        return next((row for delta in over if (row := self.averages.get((family, method, delta)))), None)


def _published(row: Published | None, mean: float | None, normalised: float | None) -> dict[str, Any]:
    """The printed figure of a line; the difference is of means, or of normalised means where such was printed."""
    names = ("mean", "spread", "spread_kind", "ticks", "metric")
    values = {name: getattr(row, name, None) for name in names}
    out = {f"published_{n}": rounded(value) if isinstance(value, float) else value for n, value in values.items()}
    ours = None if row is None else rounded(normalised if row.metric == NORMALISED else mean)
    # First rounded, then subtracted: a difference near 0 would show the last bits.
    return {**out, "difference": None if row is None or ours is None else rounded(ours - row.mean)}
