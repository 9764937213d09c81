"""Figures that every suite has, whatever its file asks for: learning curves, and methods over all tasks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtbench.parts import canonical_json
from rtbench.results.comparison import Comparison, labels
from rtbench.results.efficiency import Curve, curve_of, sample_efficiency
from rtbench.results.figures import OURS, Block, Figure, Point
from rtbench.results.groups import NO_PROFILE, CellRows
from rtbench.results.leaderboard import Leaderboard, world_of
from rtbench.results.statistics import rounded
from rtbench.suites.document import FigureTable, ValueEntry
from rtbench.suites.match import field_value
from rtbench.suites.model import Suite

MOST_SERIES = 8
"""Lines in one picture: as many colours as can be told apart."""
FEWEST_POINTS = 2
THOUSANDS_FROM = 10_000
"""Budgets from here on are drawn in thousands, so that there is room for the numbers along x."""


@dataclass(frozen=True)
class _Learnt:
    """A cell's curve: what it is called, where it belongs, and its points."""

    series: str
    delta: float
    panel: str
    points: tuple[Point, ...]


def curve_figures(suite: Suite, board: Leaderboard) -> tuple[Figure, ...]:
    """Evaluation returns while training, a panel per task; by block and δ, at most `MOST_SERIES` lines each.

    Undelayed agents stand in every figure of their block. Bands are 95 % intervals over seeds.
    """
    blocks: dict[Block, list[_Learnt]] = {}
    names = _names(board)
    for key, cells in board.made_of:
        if key.profile == NO_PROFILE:
            continue
        budget = json.loads(key.budget_json)
        block = (key.profile, f"{budget['steps']} {budget['unit']}", key.clock, key.machine_class)
        for cell in cells.values():
            if found := _learnt(suite, names[key.block][_method(board, cell)], block, cell):
                blocks.setdefault(block, []).append(found)
    out: list[Figure] = []
    for block, learnt in blocks.items():
        for part in _parts(learnt):
            points = tuple(point for each in part for point in each.points)
            name = f"learning-{len(out) + 1}"
            delta = max(each.delta for each in part)
            out.append(_figure(suite, name, _told(delta), points, x_label=_units(block), panel=_panelled(part)))
    return tuple(out)


def _fields(board: Leaderboard) -> tuple[str, ...]:
    return tuple(name for name in board.group_by if name.partition(".")[0] != "environment")


def _method(board: Leaderboard, cell: CellRows) -> tuple[Any, ...]:
    return tuple(field_value(cell.view, name) for name in _fields(board))


def _names(board: Leaderboard) -> dict[Block, dict[tuple[Any, ...], str]]:
    """What methods are called, by block."""
    methods: dict[Block, list[tuple[Any, ...]]] = {}
    for key, cells in board.made_of:
        methods.setdefault(key.block, []).extend(_method(board, cell) for cell in cells.values())
    return {block: labels(_fields(board), found) for block, found in methods.items()}


def _learnt(suite: Suite, series: str, block: Block, cell: CellRows) -> _Learnt | None:
    curves = [curve for curve in map(curve_of, cell.rows) if len(curve) >= FEWEST_POINTS]
    environment = str(cell.view["environment"]["label"])
    panel = str(cell.view["environment"].get("id") or environment)
    key = canonical_json([suite.name, *block, "learning", series, environment, cell.environment_json])
    found = sample_efficiency([curves], key, how=suite.leaderboard.reduce)
    if len(found) < FEWEST_POINTS:
        return None
    points = tuple(
        Point(
            *(OURS, block, panel, series, "", point.units / _thousand(block), rounded(point.return_.value) or 0.0),
            *(rounded(point.return_.low), rounded(point.return_.high), len(curves), len(cell.seeds)),
        )
        for point in found
    )
    return _Learnt(series, float(cell.view["interaction"]["delta"]), panel, points)


def _parts(learnt: Sequence[_Learnt]) -> Iterator[list[_Learnt]]:
    """Curves that stand in one picture."""
    undelayed = [each for each in learnt if each.delta == 0]
    deltas = sorted({each.delta for each in learnt if each.delta > 0}) or [0.0]
    for delta in deltas:
        mine = [each for each in learnt if each.delta == delta > 0]
        names = list(dict.fromkeys(each.series for each in mine))
        always = list(dict.fromkeys(each.series for each in undelayed))[: MOST_SERIES - 1]
        room = MOST_SERIES - len(always)
        for begin in range(0, max(1, len(names)), room):
            chosen = {*always, *names[begin : begin + room]}
            part = [each for each in (*undelayed, *mine) if each.series in chosen]
            if part:
                yield part


def _told(delta: float) -> str:
    return f"Learning curves, δ = {delta:g}" if delta else "Learning curves"


def _panelled(part: Sequence[_Learnt]) -> str:
    return "environment" if len({each.panel for each in part}) > 1 else ""


def _thousand(block: Block) -> float:
    return 1000.0 if int(block[1].partition(" ")[0]) >= THOUSANDS_FROM else 1.0


def _units(block: Block) -> str:
    unit = block[1].partition(" ")[2].replace("_", " ")
    return f"{'thousand ' if _thousand(block) > 1 else ''}{unit} of training"


def comparison_figures(suite: Suite, board: Leaderboard, compared: Comparison, number: int) -> tuple[Figure, ...]:
    """Performance profiles and sample efficiency of the best methods of a comparison."""
    chosen = compared.methods[:MOST_SERIES]
    budget = json.loads(compared.block[1])
    block = (compared.block[0], f"{budget['steps']} {budget['unit']}", *compared.block[2:])
    profile = tuple(
        Point(
            *(OURS, block, "", method.label, "", threshold, rounded(at.value) or 0.0),
            *(rounded(at.low), rounded(at.high), method.runs, method.runs),
        )
        for method in chosen
        for threshold, at in zip(compared.thresholds, method.profile, strict=False)
    )
    figures = [
        _figure(
            *(suite, f"profile-{number}", "Performance profiles over all tasks", profile),
            x_label="normalised score τ",
            y_label="share of runs above τ",
            about="For every score τ the share of runs, over all tasks, that is above it: the higher, the better.",
        )
    ]
    learnt = tuple(_efficiency(suite, board, compared, block))
    if learnt:
        figures.append(
            _figure(
                *(suite, f"efficiency-{number}", "Sample efficiency over all tasks", learnt),
                x_label=_units(block),
                y_label=f"{suite.leaderboard.reduce.upper()} of normalised returns",
                about="Normalised returns of all tasks against training, each divided by the undelayed agent's last.",
            )
        )
    return tuple(figures)


def _efficiency(suite: Suite, board: Leaderboard, compared: Comparison, block: Block) -> Iterator[Point]:
    if suite.leaderboard.metric != "eval_return":
        return
    scales = {world: scale for (place, world), scale in board.scales.items() if place == compared.block}
    by_method: dict[tuple[Any, ...], dict[str, Sequence[Curve]]] = {}
    for key, cells in board.made_of:
        for cell in cells.values() if key.block == compared.block else ():
            found = [curve for row in cell.rows if (curve := curve_of(row))]
            by_method.setdefault(_method(board, cell), {})[world_of(cell)] = found
    for method in compared.methods[:MOST_SERIES]:
        tasks: Mapping[str, Sequence[Curve]] = by_method[method.values]
        curves = [tasks[task] for task in compared.tasks]
        normalised = [
            [dict(zip(curve, scale.of(list(curve.values())), strict=True)) for curve in some]
            for some, task in zip(curves, compared.tasks, strict=True)
            if (scale := scales[task]) is not None
        ]
        named = canonical_json([suite.name, *block, "efficiency", method.label])
        for point in sample_efficiency(normalised, named, how=suite.leaderboard.reduce):
            at = point.return_
            yield Point(
                *(OURS, block, "", method.label, "", point.units / _thousand(block), rounded(at.value) or 0.0),
                *(rounded(at.low), rounded(at.high), method.runs, method.runs),
            )


def _figure(
    suite: Suite,
    name: str,
    title: str,
    points: tuple[Point, ...],
    *,
    x_label: str,
    y_label: str = "evaluation return",
    panel: str = "",
    about: str = "Return of evaluations against training; bands are 95 % intervals over seeds.",
) -> Figure:
    table = FigureTable(
        name=name, title=title, about=about, x="x", y=[ValueEntry(value="y")], x_label=x_label, y_label=y_label,
        panel=panel,
    )  # fmt: skip
    if not panel:  # one task only: its name needs no panel
        points = tuple(Point(**{**vars(point), "panel": ""}) for point in points)
    return Figure(suite.name, suite.source, table, points)
