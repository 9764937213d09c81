"""What runs would cost: core-hours from measured rows of like runs, hours on so many runners, money per core-hour."""

from __future__ import annotations

import functools
import heapq
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from rtbench import plugins
from rtbench.errors import SuiteError
from rtbench.parts import canonical_json

if TYPE_CHECKING:
    from rtbench.cell import Cell
    from rtbench.executors.planning import PlannedRun

SHORTEST_SECONDS = 5.0
ENOUGH = 10
"""Measured runs of a kind after which no more are read for an estimate."""
SPEED_COLUMNS = (
    "status",
    "wall_s",
    "clock",
    "budget_json",
    "learner_name",
    "environment_params_json",
    "architecture_params_json",
    "machine_class",
)
"""Columns of rows that `estimate` reads."""
MEASURED, SCALED, ASSUMED = (
    "from measured speed",
    "from another machine's, scaled by what both ran",
    "from the learner's reference speed",
)
_Likeness = tuple[str, str, str]
_Speeds = dict[_Likeness, float]


@dataclass(frozen=True)
class Estimate:
    """Core-hours of the runs that would start; `basis` says how they were found.

    `runs` are seconds of one run and how many take so long, in the order in which they would start.
    """

    core_hours: float
    basis: str
    runs: tuple[tuple[float, int], ...] = ()

    def hours(self, runners: int) -> float:
        """From the first start to the last end: each of so many runners takes the next run when it is free."""
        free_s = [0.0] * max(1, min(runners, sum(count for _, count in self.runs)))
        for seconds, count in self.runs:
            for _ in range(count):
                heapq.heapreplace(free_s, free_s[0] + seconds)
        return max(free_s) / 3600


def estimate(planned: Sequence[PlannedRun], rows: Iterable[Mapping[str, Any]], machine: str | None = None) -> Estimate:
    """Core-hours from measured rows of like runs; from the learner's own reference where nothing was measured.

    `rows` are read one by one until every cell that starts has `ENOUGH` of its like, none if nothing starts. With a
    `machine` (a class of machines, or a part of its name that fits one only) all are read: what was measured there
    counts, and what was measured elsewhere times the median ratio of like runs on both. SuiteError if no row is of it.
    """
    starting = Counter(run.cell.cell_id for run in planned if run.starts)
    cells = {run.cell.cell_id: run.cell.cell for run in planned if run.starts}
    wanted = {_alike(cell)[0] for cell in cells.values()}
    speeds, scaled = (_speeds(rows, wanted), {}) if machine is None else _on(machine, rows)
    runs: list[tuple[float, int]] = []
    how: Counter[str] = Counter()
    unknown = 0
    for cell_id, count in starting.items():
        cell = cells[cell_id]
        found = _per_unit(cell, speeds, scaled)
        if found is None:
            unknown += count
            continue
        how[found[1]] += count
        runs.append((found[0] * cell.budget.steps, count))
    basis = [f"{how[words]} {words}" for words in (MEASURED, SCALED, ASSUMED) if how[words]]
    basis += [f"{unknown} of unknown cost, left out"] if unknown else []
    core_hours = sum(seconds * count for seconds, count in runs) / 3600
    return Estimate(core_hours, ", ".join(basis) or "nothing to start", tuple(runs))


def _per_unit(cell: Cell, speeds: _Speeds, scaled: _Speeds) -> tuple[float, str] | None:
    """Seconds per budget unit and where they come from; None if nothing is known."""
    for known, words in ((speeds, MEASURED), (scaled, SCALED)):
        for key in _alike(cell):
            if key in known:
                return known[key], words
    # How long an episode is nobody knows before one was played.
    reference = None if cell.budget.unit == "episodes" else _reference(cell.learner.name)
    return (1 / reference, ASSUMED) if reference else None


def _alike(cell: Cell) -> list[_Likeness]:
    """Keys of runs of about equal speed, closest first: the network weighs more than the world."""
    return _keys(
        *(cell.learner.name, cell.budget.unit, cell.interaction.clock),
        *(_key(cell.environment.params), _key(cell.architecture.params)),
    )


def _keys(learner: str, unit: str, clock: str, environment: str, architecture: str) -> list[_Likeness]:
    """On the wall clock a step takes its world's time; an episode is as long as those of the same world are."""
    kind = f"{learner}/{unit}/{clock}"
    found = [(kind, environment, architecture), (kind, "", architecture), (kind, environment, "")]
    return [key for key in found if key[1]] if unit == "episodes" else found


def _key(params: Mapping[str, Any]) -> str:
    return canonical_json(dict(params))


def _measured(row: Mapping[str, Any]) -> tuple[float, list[_Likeness]] | None:
    """A row's seconds per budget unit, evaluation included, and what it is like; None if it is too short to tell."""
    if row["status"] != "ok" or not row["wall_s"] or row["wall_s"] < SHORTEST_SECONDS:
        return None
    budget = _budget(row["budget_json"])
    environment, architecture = row["environment_params_json"], row["architecture_params_json"]
    keys = _keys(row["learner_name"], budget["unit"], row["clock"] or "virtual", environment, architecture)
    return row["wall_s"] / budget["steps"], keys


def _speeds(rows: Iterable[Mapping[str, Any]], lacking: set[_Likeness]) -> _Speeds:
    """Seconds per budget unit by likeness, of rows as far as they need to be read."""
    found: dict[_Likeness, list[float]] = {}
    rows = iter(rows)
    while lacking and (row := next(rows, None)) is not None:
        if (measured := _measured(row)) is None:
            continue
        for key in measured[1]:
            found.setdefault(key, []).append(measured[0])
        if len(found[measured[1][0]]) == ENOUGH:
            lacking.discard(measured[1][0])
    return {key: median(values) for key, values in found.items()}


def _on(machine: str, rows: Iterable[Mapping[str, Any]]) -> tuple[_Speeds, _Speeds]:
    """Speeds measured on a class of machines; and those of others, scaled to it, closest kinds of runs first."""
    found: dict[str, dict[_Likeness, list[float]]] = {}
    for row in rows:
        if (measured := _measured(row)) is not None:
            kept = found.setdefault(row["machine_class"] or "", {})
            for key in measured[1]:
                kept.setdefault(key, []).append(measured[0])
    speeds = {name: {key: median(values) for key, values in kept.items()} for name, kept in found.items()}
    fitting = [machine] if machine in speeds else [name for name in speeds if machine.lower() in name.lower()]
    if len(fitting) != 1:
        raise SuiteError(
            f"{len(fitting)} classes of machines are named like that" if fitting else "no measured row is of it",
            place=f"--machine {machine}",
            allowed=sorted(fitting or speeds),
            hint="a part of the name will do if it fits one only; rows come from --state and --results",
        )
    here = speeds.pop(fitting[0])
    elsewhere: dict[_Likeness, list[float]] = {}
    for there in speeds.values():
        ratios = [here[key] / there[key] for key in there if key in here]
        for key in there if ratios else ():
            elsewhere.setdefault(key, []).append(there[key] * median(ratios))
    return here, {key: median(values) for key, values in elsewhere.items()}


@functools.lru_cache(maxsize=256)
def _budget(budget_json: str) -> dict[str, Any]:
    budget: dict[str, Any] = json.loads(budget_json)
    return budget


@functools.cache
def _reference(learner: str) -> float | None:
    value: float | None = getattr(plugins.part_class("learners", learner), "reference_units_per_s", None)
    return value
