"""Where return is lost, as stacked bars: the terms of Theorem 1 as differences between runs, per cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rtbench.parts import canonical_json
from rtbench.results.comparison import labels
from rtbench.results.figures import OURS, Block, Figure, Point
from rtbench.results.groups import choose
from rtbench.results.regret import Decomposition, metric_of, take_apart, why_not, worlds
from rtbench.results.statistics import rounded
from rtbench.suites.document import FigureTable, ValueEntry
from rtbench.suites.expand import SuiteCell
from rtbench.suites.identity import cell_id
from rtbench.suites.match import View, field_value, view
from rtbench.suites.model import Suite

PARTS = ("inaction", "delay", "learning")
MOST_BARS = 48
"""In one figure; what has more is told by `rtbench regret` alone."""
Profiles = Mapping[str, tuple[Suite, list[SuiteCell]]]


def loss_figures(profiles: Profiles, rows: Iterable[Mapping[str, Any]]) -> tuple[Figure, ...]:
    """A figure per profile whose counterfactual worlds somebody ran (`rtbench regret`); a panel per environment."""
    return tuple(_figures(profiles, choose(rows)))


def _figures(profiles: Profiles, rows: Sequence[Mapping[str, Any]]) -> Iterator[Figure]:
    from rtbench.plugins import use

    one, there = use("schedulers", "one-process"), {row["cell_id"] for row in rows}
    for number, (name, (loaded, cells)) in enumerate(profiles.items(), start=1):
        mine = [cell for cell in cells if not cell.excluded and why_not(cell.cell) is None]
        # an instant world has no trouble to take away: it is what the others are compared with
        mine = [cell for cell in mine if cell.cell.interaction.execution != "instant"]
        apart = {cell.cell_id: worlds(cell.cell, one) for cell in mine}
        apart = {name: three for name, three in apart.items() if cell_id(three.age_0) in there}
        mine = [cell for cell in mine if cell.cell_id in apart]
        if not 0 < len(mine) <= MOST_BARS:
            continue
        found = take_apart(apart, rows, metric_of(loaded.leaderboard.metric), loaded.seeds)
        told = [(cell, terms) for cell in mine if (terms := found[cell.cell_id][0]) is not None]
        if told:
            yield _figure(loaded, number, name, told)


def _figure(suite: Suite, number: int, profile: str, told: Sequence[tuple[SuiteCell, Decomposition]]) -> Figure:
    fields = _fields(suite, [cell for cell, _ in told])
    methods = [_method(cell, fields) for cell, _ in told]
    names = labels(fields, methods)
    several = len({cell.environment for cell, _ in told}) > 1
    points = tuple(
        _point(cell, terms, term, names[method], profile, cell.environment if several else "")
        for (cell, terms), method in zip(told, methods, strict=True)
        for term in PARTS
    )
    table = FigureTable(
        name=f"regret-{number}",
        title="Where return is lost",
        about="Return that is lost because steps have no new action, because actions answer old observations, and by "
        "learning less than the best known undelayed agent: differences between runs in worlds without one trouble or "
        "the other. Bars below zero are gains.",
        kind="bar",
        x="method",
        y=[ValueEntry(value=term, label=term) for term in PARTS],
        panel="environment" if several else "",
        x_label="",
        y_label="lost return",
    )  # fmt: skip
    return Figure(suite.name, suite.source, table, points)


def _fields(suite: Suite, cells: Sequence[SuiteCell]) -> tuple[str, ...]:
    """What bars are called by: the suite's columns, and whatever else tells cells of one world apart."""
    fields = tuple(name for name in suite.leaderboard.group_by if name.partition(".")[0] != "environment")
    places: dict[tuple[Any, ...], list[View]] = {}
    for cell in cells:
        places.setdefault((cell.environment, _method(cell, fields)), []).append(view(cell.cell))
    differing: dict[str, None] = {}
    for views in places.values():
        for axis, key in {(axis, key): None for seen in views for axis, values in seen.items() for key in values}:
            values = {canonical_json([seen.get(axis, {}).get(key)]) for seen in views}
            if len(values) > 1 and key != "label":
                differing[f"{axis}.{key}"] = None
    return (*fields, *(name for name in differing if name not in fields))


def _method(cell: SuiteCell, fields: Sequence[str]) -> tuple[Any, ...]:
    seen = view(cell.cell)
    values = (field_value(seen, name) for name in fields)
    return tuple(canonical_json(value) if isinstance(value, list | tuple | dict) else value for value in values)


def _point(cell: SuiteCell, terms: Decomposition, term: str, method: str, profile: str, panel: str) -> Point:
    budget, value = cell.cell.budget, terms.terms[term]
    block: Block = (profile, f"{budget.steps} {budget.unit}", cell.cell.interaction.clock, "")
    return Point(
        *(OURS, block, panel, "", term, method, rounded(value.value) or 0.0),
        *(rounded(value.low), rounded(value.high), len(terms.seeds), len(cell.seeds)),
    )
