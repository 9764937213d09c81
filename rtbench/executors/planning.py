"""What a suite still has to do: every run's state, whether it would start and why, and what it would cost."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from rtbench import plugins
from rtbench.cell import Cell
from rtbench.errors import SuiteError
from rtbench.executors.jobs import Job
from rtbench.parts import PartUse, canonical_json
from rtbench.results.columns import PART_AXES
from rtbench.suites.expand import SuiteCell
from rtbench.suites.match import holds, view
from rtbench.suites.model import Suite

Rerun = Literal["never", "failed", "stale", "all"]
RERUN = ("never", "failed", "stale", "all")
State = Literal["done", "missing", "failed", "timeout", "interrupted", "stale", "unsupported", "excluded"]
SHORTEST_SECONDS = 5.0
ENOUGH = 10
"""Measured runs of a kind after which no more are read for an estimate."""
_Likeness = tuple[str, str, str]
STATES = ("done", "missing", "interrupted", "failed", "timeout", "stale", "unsupported", "excluded")
SPEED_COLUMNS = (
    "status",
    "wall_s",
    "budget_json",
    "learner_name",
    "environment_params_json",
    "architecture_params_json",
)
"""Columns of rows that `estimate` reads."""
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


@dataclass(frozen=True)
class Estimate:
    """Core-hours of the runs that would start; `basis` says how they were found."""

    core_hours: float
    basis: str


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


def estimate(planned: Sequence[PlannedRun], rows: Iterable[Mapping[str, Any]]) -> Estimate:
    """Core-hours from measured rows of like runs; from the learner's own reference where nothing was measured.

    `rows` are read one by one until every cell that starts has `ENOUGH` of its like, none if nothing starts.
    """
    starting = Counter(run.cell.cell_id for run in planned if run.starts)
    cells = {run.cell.cell_id: run.cell.cell for run in planned if run.starts}
    speeds = _speeds(rows, {_alike(cell)[0] for cell in cells.values()})
    seconds, measured, assumed, unknown = 0.0, 0, 0, 0
    for cell_id, runs in starting.items():
        cell = cells[cell_id]
        per_unit = next((speeds[key] for key in _alike(cell) if key in speeds), None)
        reference = _reference(cell.learner.name)
        if per_unit:
            measured += runs
        elif reference:
            assumed, per_unit = assumed + runs, 1 / reference
        else:
            unknown += runs
            continue
        seconds += runs * per_unit * cell.budget.steps
    basis = [
        f"{measured} from measured speed" if measured else "",
        f"{assumed} from the learner's reference speed" if assumed else "",
        f"{unknown} of unknown cost, left out" if unknown else "",
    ]
    return Estimate(seconds / 3600, ", ".join(part for part in basis if part) or "nothing to start")


def _alike(cell: Cell) -> list[_Likeness]:
    """Keys of runs of about equal speed, closest first: the network weighs more than the world."""
    learner = f"{cell.learner.name}/{cell.budget.unit}"
    environment, architecture = _key(cell.environment.params), _key(cell.architecture.params)
    return [(learner, environment, architecture), (learner, "", architecture), (learner, environment, "")]


def _key(params: Mapping[str, Any]) -> str:
    return canonical_json(dict(params))


def _speeds(rows: Iterable[Mapping[str, Any]], lacking: set[_Likeness]) -> dict[_Likeness, float]:
    """Seconds per budget unit by likeness, evaluation included; runs too short to tell are left out."""
    found: dict[_Likeness, list[float]] = {}
    rows = iter(rows)
    while lacking and (row := next(rows, None)) is not None:
        if row["status"] != "ok" or not row["wall_s"] or row["wall_s"] < SHORTEST_SECONDS:
            continue
        budget = _budget(row["budget_json"])
        learner = f"{row['learner_name']}/{budget['unit']}"
        environment, architecture = row["environment_params_json"], row["architecture_params_json"]
        for key in ((learner, environment, architecture), (learner, "", architecture), (learner, environment, "")):
            found.setdefault(key, []).append(row["wall_s"] / budget["steps"])
        if len(found[learner, environment, architecture]) == ENOUGH:
            lacking.discard((learner, environment, architecture))
    return {key: median(values) for key, values in found.items()}


@functools.lru_cache(maxsize=256)
def _budget(budget_json: str) -> dict[str, Any]:
    budget: dict[str, Any] = json.loads(budget_json)
    return budget


@functools.cache
def _reference(learner: str) -> float | None:
    value: float | None = getattr(plugins.part_class("learners", learner), "reference_units_per_s", None)
    return value


def make_jobs(suite: Suite, planned: Sequence[PlannedRun], *, batch: int = 1, threads: int = 1) -> list[Job]:
    """The jobs of the runs that start: up to `batch` seeds of one cell share a process."""
    groups: dict[str, list[PlannedRun]] = {}
    for run in planned:
        if run.starts:
            groups.setdefault(run.cell.cell_id, []).append(run)
    jobs: list[Job] = []
    for runs in groups.values():
        for part in _batches(runs, batch):
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
                )
            )
    return jobs


def _batches(runs: Sequence[PlannedRun], batch: int) -> Iterator[Sequence[PlannedRun]]:
    """Up to `batch` runs at a time; those that begin anew never share with those that continue."""
    for anew in (False, True):
        chosen = [run for run in runs if (run.state in ("done", "stale")) == anew]
        yield from (chosen[begin : begin + batch] for begin in range(0, len(chosen), batch))
