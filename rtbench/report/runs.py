"""The page of a cell: its parts, its runs down to the last column, and the commands that compute them again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtbench.report import commands
from rtbench.report.collect import SuiteReport
from rtbench.report.views import page_of, short, told, word
from rtbench.results.columns import COLUMNS, PART_AXES
from rtbench.results.groups import CellRows, LineKey
from rtbench.results.summary import number_of

PAIRS = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Run:
    """One run: its name, outcome, and every column that has a value, by group."""

    run_id: str
    seed: int
    status: str
    reason: str
    score: str
    facts: PAIRS
    commands: tuple[str, ...]
    groups: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]
    """(group, (column, value with its unit, meaning) …) …"""


@dataclass(frozen=True)
class CellPage:
    """A cell with its runs; `parts` are (axis, name, revision, distribution, parameters)."""

    cell_id: str
    page: str
    title: str
    where: PAIRS
    parts: tuple[tuple[str, str, str, str, PAIRS], ...]
    interaction: PAIRS
    budget: PAIRS
    runs: tuple[Run, ...]
    missing: tuple[int, ...]
    """Seeds without a run."""


def cell_pages(report: SuiteReport) -> Iterator[tuple[CellPage, CellRows]]:
    """A page for every cell that has rows, in the order of the leaderboard."""
    seen: set[str] = set()
    for line, (key, cells) in zip(report.board.lines, report.board.made_of, strict=True):
        for cell_id in sorted(cells):
            if cells[cell_id].rows and cell_id not in seen:
                seen.add(cell_id)
                yield _page(report, line, key, cell_id, cells[cell_id]), cells[cell_id]


def _page(report: SuiteReport, line: Mapping[str, Any], key: LineKey, cell_id: str, cell: CellRows) -> CellPage:
    rows = sorted(cell.rows, key=lambda row: (row["seed"], row["machine_class"] or "", row["run_id"]))
    first = rows[0]
    fields = [(word(name), told(line[name])) for name in report.board.group_by]
    named = [value for (_, value), name in zip(fields, report.board.group_by, strict=True) if "." not in name]
    done = {row["seed"] for row in rows}
    return CellPage(
        cell_id=cell_id,
        page=page_of(cell_id),
        title=" · ".join(filter(None, dict.fromkeys(named))) or cell_id[:12],
        where=[
            ("profile", key.profile),
            ("budget", line["budget"]),
            ("clock", line["clock"]),
            *filter(_second, fields),
        ],
        parts=tuple(_part(axis, first) for axis in PART_AXES),
        interaction=_flat(json.loads(first["interaction_json"])),
        budget=_flat(json.loads(first["budget_json"])),
        runs=tuple(_run(report, key, cell_id, row) for row in rows),
        missing=tuple(seed for seed in cell.seeds if seed not in done),
    )


def _second(pair: tuple[str, str]) -> str:
    return pair[1]


def _part(axis: str, row: Mapping[str, Any]) -> tuple[str, str, str, str, PAIRS]:
    version = f"{row[f'{axis}_distribution']} {row[f'{axis}_version']}".strip()
    params = _flat(json.loads(row[f"{axis}_params_json"]))
    return axis.replace("_", " "), row[f"{axis}_name"], str(row[f"{axis}_revision"]), version, params


def _flat(data: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested data as (dotted name, value) pairs; nothing for what is absent."""
    out: list[tuple[str, str]] = []
    for name, value in data.items():
        if isinstance(value, Mapping):
            out += _flat(value, f"{before}{name}.")
        elif value not in (None, ""):
            out.append((before + name, _shown(value)))
    return out


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(_shown(each) for each in value)
    return str(value)


def _run(report: SuiteReport, key: LineKey, cell_id: str, row: Mapping[str, Any]) -> Run:
    score = number_of(row, report.suite.leaderboard.metric) if row["status"] == "ok" else None
    facts = [
        ("wall time", f"{short(row['wall_s'])} s" if row["wall_s"] is not None else ""),
        ("machine", row["machine_class"] or ""),
        ("rtbench", f"{row['rtbench_version'] or ''} {(row['git_commit'] or '')[:12]}".strip()),
        ("started", row["started_utc"] or ""),
    ]
    return Run(
        run_id=row["run_id"],
        seed=row["seed"],
        status=row["status"],
        reason=row["reason"] or "",
        score=short(score),
        facts=[fact for fact in facts if fact[1]],
        commands=_commands(report, key, cell_id, row),
        groups=tuple(_groups(row)),
    )


def _commands(report: SuiteReport, key: LineKey, cell_id: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    """What to type, line by line; empty if the suite has no such cell any more."""
    if key.profile not in report.profiles:
        return ()
    suite, cells = report.profiles[key.profile]
    mine = next((cell for cell in cells if cell.cell_id == cell_id), None)
    command = commands.run_command(suite, mine, cells, [row["seed"]]) if mine else None
    return (*commands.origin(row), command) if command else ()


def _groups(row: Mapping[str, Any]) -> Iterator[tuple[str, tuple[tuple[str, str, str], ...]]]:
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for column in COLUMNS:
        value = row[column.name]
        if value in (None, "", {}, []):
            continue
        if column.type == "map":
            groups.setdefault(column.group, []).extend((name, _shown(each), "") for name, each in value.items())
            continue
        unit = f" {column.unit}" if column.unit and column.type not in ("ints", "floats") else ""
        groups.setdefault(column.group, []).append((column.name, _shown(value) + unit, column.doc))
    for group, columns in groups.items():
        yield group, tuple(columns)
