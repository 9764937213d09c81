"""A suite's report under one profile: every cell with what is there, what was published, and the difference."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rtbench.parts import canonical_json
from rtbench.results.groups import choose
from rtbench.results.summary import Summary, metric_column, summarise
from rtbench.suites.expand import SuiteCell
from rtbench.suites.match import field_value, view
from rtbench.suites.model import Suite
from rtbench.suites.published import NORMALISED, Published

_COLUMNS = (
    "run_id",
    "cell_id",
    "seed",
    "attempt",
    "status",
    "reason",
    "suite_revision",
    "started_utc",
    "clock",
    "machine_class",
    "observation_age_p50_steps",
    "oldest_age_p50_steps",
    "eval_return_per_s",
)


_TOLD = ("environment", "environment.id", "architecture", "interaction.execution", "interaction.delta")
"""Fields of `group_by` that a line has columns for."""


def columns(metric: str) -> tuple[str, ...]:
    """Columns of rows that a report of this metric reads; the rest need not be kept."""
    return tuple(dict.fromkeys((*_COLUMNS, metric_column(metric))))


@dataclass(frozen=True)
class ReportLine:
    """One cell: its numbers, the published figure (None if there is none), and the difference of the means."""

    environment: str
    method: str
    execution: str
    delta: float
    status: str
    reasons: tuple[str, ...]
    summary: Summary
    published: Published | None
    further: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Values of the suite's `group_by` fields that the other columns do not tell, by key."""
    clock: str = "virtual"

    @property
    def difference(self) -> float | None:
        """Our mean minus the published one; None where that is a normalised score, which leaderboards compare."""
        if self.published is None or self.summary.mean is None or self.published.metric == NORMALISED:
            return None
        return self.summary.mean - self.published.mean

    def data(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return dataclasses.asdict(self) | {"difference": self.difference}


@dataclass(frozen=True)
class Report:
    """The lines of a suite under a profile, by environment and delta, and how many cells are in which state."""

    suite: str
    profile: str
    budgets: tuple[dict[str, Any], ...]
    """The suite's own first, then those of suites that it includes."""
    metric: str
    lines: tuple[ReportLine, ...]
    better: str = "higher"
    """Which values of the metric are good: `higher` or `lower`."""

    @property
    def counts(self) -> dict[str, int]:
        """Cells by status."""
        return dict(sorted(Counter(line.status for line in self.lines).items()))

    def data(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "suite": self.suite,
            "profile": self.profile,
            "budget": self.budgets[0] if len(self.budgets) == 1 else None,
            "budgets": list(self.budgets),
            "metric": self.metric,
            "counts": self.counts,
            "lines": [line.data() for line in self.lines],
        }


def suite_rows(cells: Sequence[SuiteCell], rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows that are runs of these cells with their seeds: one per run, finished before failed."""
    wanted = {run for cell in cells for run in cell.run_ids}
    return choose(row for row in rows if row["run_id"] in wanted)


def build_report(suite: Suite, cells: Sequence[SuiteCell], rows: Iterable[Mapping[str, Any]]) -> Report:
    """The report of expanded cells from rows of any source; rows of other cells are passed over."""
    by_cell: dict[str, list[Mapping[str, Any]]] = {}
    for row in suite_rows(cells, rows):
        by_cell.setdefault(row["cell_id"], []).append(row)
    lines = [_line(suite, cell, by_cell.get(cell.cell_id, [])) for cell in cells]
    first = {cell.environment: number for number, cell in reversed(list(enumerate(cells)))}
    lines.sort(key=lambda line: (first[line.environment], line.delta))  # stable: the file's order within
    budgets = tuple(budget.data() for budget in suite.budgets)
    rule = suite.leaderboard
    return Report(suite.name, suite.profile, budgets, rule.metric, tuple(lines), rule.better)


def _line(suite: Suite, cell: SuiteCell, rows: list[Mapping[str, Any]]) -> ReportLine:
    rule = suite.leaderboard
    key = canonical_json([suite.name, suite.profile, cell.cell_id])
    summary = summarise([rows], wanted=len(cell.seeds), metric=rule.metric, how=rule.reduce, key=key)
    reasons = {row["reason"] or row["status"] for row in rows if row["status"] != "ok"}
    status = summary.status
    for state, reason in (("unsupported", cell.unsupported), ("excluded", cell.excluded)):
        if reason and not summary.done:
            status, reasons = state, {reason}
    seen = view(cell.cell)
    further = {name.partition(".")[2] or name: field_value(seen, name) for name in rule.group_by if name not in _TOLD}
    return ReportLine(
        environment=cell.environment,
        method=cell.method,
        execution=cell.cell.interaction.execution,
        delta=cell.cell.interaction.delta,
        status=status,
        reasons=tuple(sorted(reasons)),
        summary=summary,
        published=cell.published,
        further=further,
        clock=cell.cell.interaction.clock,
    )
