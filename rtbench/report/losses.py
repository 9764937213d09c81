"""Where return is lost, as stacked bars: the terms of Theorem 1 as differences between runs, per cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rtbench.results.comparison import labels
from rtbench.results.figures import OURS, Block, Figure, Point
from rtbench.results.regret import COUNTERFACTUALS, Decomposition, metric_of, take_apart, why_not, worlds
from rtbench.results.statistics import rounded
from rtbench.suites.document import FigureTable, ValueEntry
from rtbench.suites.expand import SuiteCell
from rtbench.suites.match import field_value, view
from rtbench.suites.model import Suite

PARTS = ("inaction", "delay", "learning")
Profiles = Mapping[str, tuple[Suite, list[SuiteCell]]]


def loss_figures(suite: Suite, profiles: Profiles, rows: Iterable[Mapping[str, Any]]) -> tuple[Figure, ...]:
    """A figure per profile whose counterfactual worlds somebody ran (`rtbench regret`); a panel per environment."""
    known = list(rows)
    if not any(row["suite"] == suite.name + COUNTERFACTUALS for row in known):
        return ()
    return tuple(_figures(suite, profiles, known))


def _figures(suite: Suite, profiles: Profiles, rows: Sequence[Mapping[str, Any]]) -> Iterator[Figure]:
    from rtbench.plugins import use

    one = use("schedulers", "one-process")
    for number, (name, (loaded, cells)) in enumerate(profiles.items(), start=1):
        mine = [cell for cell in cells if not cell.excluded and why_not(cell.cell) is None]
        # an instant world has no trouble to take away: it is what the others are compared with
        mine = [cell for cell in mine if cell.cell.interaction.execution != "instant"]
        apart = {cell.cell_id: worlds(cell.cell, one) for cell in mine}
        found = take_apart(apart, rows, metric_of(loaded.leaderboard.metric), loaded.seeds)
        told = [(cell, terms) for cell in mine if (terms := found[cell.cell_id][0]) is not None]
        if told:
            yield _figure(loaded, number, name, told)


def _figure(suite: Suite, number: int, profile: str, told: Sequence[tuple[SuiteCell, Decomposition]]) -> Figure:
    fields = tuple(name for name in suite.leaderboard.group_by if name.partition(".")[0] != "environment")
    methods = [tuple(field_value(view(cell.cell), name) for name in fields) for cell, _ in told]
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


def _point(cell: SuiteCell, terms: Decomposition, term: str, method: str, profile: str, panel: str) -> Point:
    budget, value = cell.cell.budget, terms.terms[term]
    block: Block = (profile, f"{budget.steps} {budget.unit}", cell.cell.interaction.clock, "")
    return Point(
        *(OURS, block, panel, "", term, method, rounded(value.value) or 0.0),
        *(rounded(value.low), rounded(value.high), len(terms.seeds), len(cell.seeds)),
    )
