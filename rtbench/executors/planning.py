"""What a suite still has to do: every run's state, whether it would start and why, and the jobs of those that do."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rtbench import plugins
from rtbench.cell import Cell
from rtbench.errors import SuiteError
from rtbench.executors.estimates import SPEED_COLUMNS
from rtbench.executors.jobs import Job
from rtbench.parts import PartUse, canonical_json
from rtbench.results.columns import PART_AXES
from rtbench.suites.expand import SuiteCell
from rtbench.suites.match import holds, view
from rtbench.suites.model import Suite

Rerun = Literal["never", "failed", "stale", "all"]
RERUN = ("never", "failed", "stale", "all")
State = Literal["done", "missing", "failed", "timeout", "interrupted", "stale", "unsupported", "excluded"]
STATES = ("done", "missing", "interrupted", "failed", "timeout", "stale", "unsupported", "excluded")
COLUMNS = (
    "run_id",
    "attempt",
    "reason",
    *(f"{axis}_{key}" for axis in PART_AXES for key in ("version", "source_digest")),
    *SPEED_COLUMNS,
)
"""Columns of rows that a plan with its estimate reads; the rest need not be kept."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run of a suite: `starts` says whether a runner would start it, `why` in words."""

    cell: SuiteCell
    seed: int
    run_id: str
    state: State
    starts: bool
    why: str
    attempt: int

    def data(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "run_id": self.run_id,
            "environment": self.cell.environment,
            "method": self.cell.method,
            "execution": self.cell.cell.interaction.execution,
            "delta": self.cell.cell.interaction.delta,
            "seed": self.seed,
            "state": self.state,
            "starts": self.starts,
            "why": self.why,
        }


def parse_only(conditions: Sequence[str], cells: Sequence[SuiteCell]) -> dict[str, dict[str, Any]]:
    """`architecture.label=SAC`, `environment.id=Hopper-v4`, `interaction.delta=1` as a match; several must all hold."""
    match: dict[str, dict[str, Any]] = {}
    views = [view(cell.cell) for cell in cells]
    for condition in conditions:
        path, equals, text = condition.partition("=")
        axis, dot, key = path.strip().partition(".")
        if not equals or axis not in (views[0] if views else {axis: {}}):
            axes = sorted(views[0]) if views else []
            raise SuiteError(
                f"not a condition: {condition!r}",
                place="--only",
                given=axis,
                allowed=axes,
                hint="write axis.key=value, e.g. environment.id=Hopper-v4",
            )
        key = key if dot else ("label" if axis != "interaction" else "execution")
        known = sorted({name for seen in views for name in seen[axis]})
        if key not in known:
            raise SuiteError(f"no {axis} of this suite has {key!r}", place="--only", given=key, allowed=known)
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        present = {str(seen[axis].get(key)) for seen in views}
        if not any(seen[axis].get(key) == value for seen in views):
            raise SuiteError(
                f"no cell has {axis}.{key} = {text!r}", place="--only", given=text, allowed=sorted(present)
            )
        match.setdefault(axis, {})[key] = value
    return match


def plan_runs(
    cells: Iterable[SuiteCell],
    rows: Mapping[str, Mapping[str, Any]],
    *,
    rerun: Rerun = "failed",
    match: Mapping[str, Mapping[str, Any]] | None = None,
    seeds: Sequence[int] | None = None,
) -> list[PlannedRun]:
    """Every run of the cells, given the newest row of each run_id; missing runs always start."""
    planned: list[PlannedRun] = []
    for cell in cells:
        if match and not holds({axis: dict(keys) for axis, keys in match.items()}, view(cell.cell)):
            continue
        for seed, run_id in zip(cell.seeds, cell.run_ids, strict=True):
            if seeds is None or seed in seeds:
                planned.append(_planned(cell, seed, run_id, rows.get(run_id), rerun))
    return planned


def _planned(cell: SuiteCell, seed: int, run_id: str, row: Mapping[str, Any] | None, rerun: Rerun) -> PlannedRun:
    def answer(state: State, starts: bool, why: str) -> PlannedRun:
        return PlannedRun(cell, seed, run_id, state, starts, why, 1 if row is None else row["attempt"] + 1)

    if cell.excluded:
        return answer("excluded", False, cell.excluded)
    if cell.unsupported:
        return answer("unsupported", False, cell.unsupported)
    if row is None:
        return answer("missing", True, "no result yet")
    if row["status"] == "interrupted":
        return answer("interrupted", True, "continues from its checkpoint")
    if row["status"] != "ok":
        starts = rerun != "never"
        return answer(row["status"], starts, f"attempt {row['attempt']}: {row['reason']}")
    changed = stale_parts(row, cell.cell)
    if changed:
        return answer("stale", rerun in ("stale", "all"), f"changed since: {', '.join(changed)}")
    return answer("done", rerun == "all", "--rerun all" if rerun == "all" else "has a result")


def stale_parts(row: Mapping[str, Any], cell: Cell) -> list[str]:
    """Parts whose distribution's version or source has changed since the row was made."""
    changed: list[str] = []
    for axis, part in cell.parts.items():
        now = _source(part.kind, part.name)
        if any(row[f"{axis}_{key}"] != now[key] for key in ("version", "source_digest")):
            changed.append(f"{axis.replace('_', ' ')} {part.name}")
    return changed


@functools.cache
def _source(kind: str, name: str) -> dict[str, str]:
    return plugins.sources(PartUse(kind, name, 0, {}))


def counts(planned: Iterable[PlannedRun]) -> dict[str, int]:
    """How many runs are in each state."""
    found: Counter[str] = Counter(run.state for run in planned)
    return {state: found[state] for state in STATES if found[state]}


def make_jobs(
    suite: Suite, planned: Sequence[PlannedRun], *, batch: int | Callable[[Cell], int] = 1, threads: int = 1
) -> list[Job]:
    """The jobs of the runs that start: up to `batch` seeds of one cell, or as many as it answers, share a process."""
    groups: dict[str, list[PlannedRun]] = {}
    for run in planned:
        if run.starts:
            groups.setdefault(run.cell.cell_id, []).append(run)
    jobs: list[Job] = []
    axes = zip(*(_beside(run.cell.cell) for run in planned), strict=True)
    known = [list({canonical_json(part.data()): part for part in axis}.values()) for axis in axes]
    for runs in groups.values():
        for part in _batches(runs, batch if isinstance(batch, int) else batch(runs[0].cell.cell)):
            jobs.append(
                Job(
                    cell=part[0].cell.cell,
                    seeds=tuple(run.seed for run in part),
                    run_ids=tuple(run.run_id for run in part),
                    attempts=tuple(run.attempt for run in part),
                    suite=suite.name,
                    suite_revision=suite.revision,
                    wall_limit_s=suite.wall_limit_s,
                    threads=threads,
                    fresh=part[0].state in ("done", "stale"),
                    beside=_told_apart(part[0].cell.cell, known),
                )
            )
    return jobs


def _beside(cell: Cell) -> tuple[PartUse, ...]:
    """The parts that a job's title names only where the suite has several."""
    return cell.interaction.scheduler, cell.learner, cell.backend


def _told_apart(cell: Cell, known: Sequence[Sequence[PartUse]]) -> tuple[str, ...]:
    """Words for those of a cell's parts of which the suite has several: a label, or a name and what differs."""
    words = []
    for part, parts in zip(_beside(cell), known, strict=True):
        others = [other for other in parts if other != part]
        if others:
            rivals = [other.params for other in others if other.name == part.name]
            differ = [key for key in part.params if any(params.get(key) != part.params[key] for params in rivals)]
            inner = ", ".join(f"{key}={part.params[key]}" for key in differ)
            words.append(part.label or (f"{part.name}({inner})" if inner else part.name))
    return tuple(words)


def _batches(runs: Sequence[PlannedRun], batch: int) -> Iterator[Sequence[PlannedRun]]:
    """Up to `batch` runs at a time; those that begin anew never share with those that continue."""
    for anew in (False, True):
        chosen = [run for run in runs if (run.state in ("done", "stale")) == anew]
        yield from (chosen[begin : begin + batch] for begin in range(0, len(chosen), batch))
