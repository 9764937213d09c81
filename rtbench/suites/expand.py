"""From a suite to its cells: products of axes, cells of their own, excludes, profiles.

Parts are looked up and coerced once per entry of the file, so that thousands of runs plan in well under a second.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from dataclasses import dataclass

from rtbench import plugins
from rtbench.cell import Cell
from rtbench.errors import SuiteError
from rtbench.suites.figures import check_figures
from rtbench.suites.identity import cell_id, run_ids
from rtbench.suites.match import View, check, holds, view
from rtbench.suites.model import Suite
from rtbench.suites.published import Published, PublishedKey, by_key
from rtbench.suites.resolving import KIND, Classes, Resolver


@dataclass(frozen=True)
class SuiteCell:
    """A cell as a suite asks for it: `excluded` and `unsupported` hold the reason it is not run, or None."""

    cell: Cell
    cell_id: str
    seeds: tuple[int, ...]
    excluded: str | None = None
    unsupported: str | None = None
    published: Published | None = None
    """The figure printed for it, of the suite that asks for it."""

    @property
    def environment(self) -> str:
        """The environment's label, its id, or its title."""
        part = self.cell.environment
        return part.label or str(part.params.get("id") or part.title)

    @property
    def method(self) -> str:
        """The architecture's label: what a published table calls its method."""
        return self.cell.architecture.title

    @property
    def published_key(self) -> PublishedKey:
        """What a published row must equal."""
        environment = str(self.cell.environment.params.get("id") or self.cell.environment.title)
        return (environment, self.method, self.cell.interaction.delta)

    @functools.cached_property
    def run_ids(self) -> tuple[str, ...]:
        """The names of this cell's runs, in the order of its seeds."""
        return run_ids(self.cell, self.seeds)


def expand(suite: Suite, *, added: Iterable[Cell] = (), support: bool = True) -> list[SuiteCell]:
    """Every cell of the suite under its profile, in the order of the file, duplicates removed, excludes kept with why.

    Cells of the suites that it includes come after its own. `added` are cells that plugins add
    (`rtbench_modify_cells`). With `support=False` no part is asked what it supports, so that the answer does not depend
    on what is installed here. Raises SuiteError naming the entry that is wrong.
    """
    classes = Classes()
    found = _found(suite, classes)
    views = [view(each.cell) for each in found]
    _check_leaderboard(suite, views)
    check_figures(suite, views)
    more = [SuiteCell(cell, cell_id(cell), suite.own_seeds or suite.seeds) for cell in added]
    out: dict[str, SuiteCell] = {}
    for each in [*(one.asked for one in found if one.kept), *more]:
        known = out.get(each.cell_id)
        out[each.cell_id] = each if known is None else _both(known, each)
    if not support:
        return list(out.values())
    return [
        each if each.excluded else dataclasses.replace(each, unsupported=classes.unsupported(each.cell))
        for each in out.values()
    ]


@dataclass(frozen=True)
class _Found:
    """A cell of a suite, whether its profile keeps it or not."""

    asked: SuiteCell
    kept: bool

    @property
    def cell(self) -> Cell:
        return self.asked.cell


def _found(suite: Suite, classes: Classes) -> list[_Found]:
    """The suite's own cells, then those of the suites that it includes."""
    resolver = Resolver(suite, classes)
    own = list(resolver.cells())
    resolver.check_overrides()
    included = [each for inner in suite.included for each in _found(inner, classes)]
    views = [view(cell) for cell in (*own, *(each.cell for each in included))]
    excluded = _excluded(suite, views)
    kept = _only(suite, views, [True] * len(own) + [each.kept for each in included])
    printed = by_key(suite.published)
    cells = [SuiteCell(cell, cell_id(cell), suite.own_seeds) for cell in own]
    cells = [dataclasses.replace(each, published=printed.get(each.published_key)) for each in cells]
    return [
        _Found(dataclasses.replace(each, excluded=each.excluded or why), keep)
        for each, why, keep in zip([*cells, *(each.asked for each in included)], excluded, kept, strict=True)
    ]


def _both(one: SuiteCell, other: SuiteCell) -> SuiteCell:
    """A cell that is asked for twice, under the first one's labels: the seeds of those that do not exclude it."""
    if bool(one.excluded) != bool(other.excluded):
        kept = other if one.excluded else one
        return dataclasses.replace(one, seeds=kept.seeds, excluded=None, published=one.published or other.published)
    seeds = one.seeds if set(other.seeds) <= set(one.seeds) else tuple(sorted({*one.seeds, *other.seeds}))
    return dataclasses.replace(one, seeds=seeds, published=one.published or other.published)


def missing_parts(suite: Suite) -> list[str]:
    """Parts the suite names that no installed distribution offers, as 'architecture acme/net'."""
    tables = [suite.document.axes, *suite.document.cells]
    wanted = {(KIND[axis], entry.use) for table in tables for axis in KIND for entry in getattr(table, axis)}
    for table in tables:
        for entry in table.interaction:
            wanted |= {("schedulers", entry.scheduler.use), ("default_policies", entry.default_policy.use)}
    missing = {f"{plugins.singular(kind)} {name}" for kind, name in wanted if name not in plugins.entries(kind)}
    return sorted(missing.union(*(missing_parts(inner) for inner in suite.included)))


def _check_leaderboard(suite: Suite, views: list[View]) -> None:
    rule = suite.leaderboard
    for number, name in enumerate(rule.group_by):
        axis, _, key = name.partition(".")
        place = suite.place("leaderboard", "group_by", number)
        if axis == "interaction" and not key:
            raise SuiteError("an interaction has no label to group by", place=place, hint="interaction.delta, say")
        check({axis: {key or "label": None}}, views, place=place)
    for number, match in enumerate(rule.only):
        check(match, views, place=suite.place("leaderboard", "only", number))
    if rule.normalise:
        for match in (rule.normalise.against, rule.normalise.floor or {}):
            check(match, views, place=suite.place("leaderboard", "normalise"))


def _excluded(suite: Suite, views: list[View]) -> list[str | None]:
    reasons: list[str | None] = [None] * len(views)
    for number, entry in enumerate(suite.document.exclude):
        where = suite.place("exclude", number, "match")
        check(entry.match, views, place=where)
        fits = [index for index, seen in enumerate(views) if holds(entry.match, seen)]
        if not fits:
            raise SuiteError("this exclude fits no cell of the suite", place=where)
        for index in fits:
            reasons[index] = reasons[index] or entry.why
    return reasons


def _only(suite: Suite, views: list[View], candidates: list[bool]) -> list[bool]:
    """Which cells the profile keeps, of the candidates."""
    if not suite.only:
        return candidates
    keep = [False] * len(views)
    for number, match in enumerate(suite.only):
        where = suite.place("profiles", suite.profile, "only", number)
        check(match, views, place=where)
        fits = [index for index, seen in enumerate(views) if candidates[index] and holds(match, seen)]
        if not fits:
            raise SuiteError("this entry of `only` fits no cell of the suite", place=where)
        for index in fits:
            keep[index] = True
    return keep
