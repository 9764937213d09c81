"""Values of a row that cannot be, whatever was run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_SHARES = ("inaction_share", "overwritten_share")
_COUNTS = (
    "episodes",
    "progress",
    "non_idle_actions",
    "env_steps",
    "ticks",
    "updates",
    "peak_memory_bytes",
    "batch_runs",
    "threads",
    "wall_s",
    "steps_per_s",
    "delta",
    "lateness_p99_s",
)
_ORDERED = (
    ("observation_age_p50_steps", "observation_age_p95_steps", "observation_age_max_steps"),
    ("oldest_age_p50_steps", "oldest_age_p95_steps", "oldest_age_max_steps"),
    ("observation_age_p50_steps", "oldest_age_p50_steps"),
    ("inference_time_p50_s", "inference_time_p95_s", "inference_time_p99_s", "inference_time_max_s"),
)


def implausible(row: Mapping[str, Any]) -> str | None:
    """The first thing that cannot be, as a sentence, or None."""
    for check in (_numbers, _curve, _outcome, _date):
        problem = check(row)
        if problem:
            return problem
    return None


def _numbers(row: Mapping[str, Any]) -> str | None:
    for name in _SHARES:
        if row[name] is not None and not 0 <= row[name] <= 1:
            return f"{name} is {row[name]}, not between 0 and 1"
    for name in _COUNTS:
        if row[name] is not None and row[name] < 0:
            return f"{name} is {row[name]}, below 0"
    for names in _ORDERED:
        values = [row[name] for name in names if row[name] is not None]
        if values != sorted(values) or (values and values[0] < 0):
            return f"{', '.join(names)} are {values}, not rising from 0"
    return None


def _curve(row: Mapping[str, Any]) -> str | None:
    steps, returns = row["eval_step"] or [], row["eval_return"] or []
    if len(steps) != len(returns):
        return f"eval_step has {len(steps)} entries and eval_return {len(returns)}"
    if any(later <= earlier for earlier, later in itertools.pairwise(steps)):
        return "eval_step does not rise"
    budget = json.loads(row["budget_json"])
    if steps and (steps[0] < 0 or steps[-1] > budget["steps"]):
        return f"eval_step reaches {steps[-1]}, the budget is {budget['steps']} {budget['unit']}"
    return None


def _outcome(row: Mapping[str, Any]) -> str | None:
    if row["status"] == "ok":
        # What learns on the wall clock is not evaluated apart: its world's time is what it learns in.
        learnt_there = row["clock"] == "wall" and row["train_return_mean"] is not None
        if row["eval_return_final"] is None and not learnt_there:
            return "status is ok but there is no eval_return_final"
        budget = json.loads(row["budget_json"])
        counted = row.get(budget["unit"])  # columns are named as the units ticks, env_steps and episodes
        if row["updates"] != 0 and counted is not None and counted < budget["steps"]:  # what is frozen uses none
            return f"status is ok after {counted} of {budget['steps']} {budget['unit']}"
    elif not row["reason"]:
        return f"status is {row['status']} without a reason"
    return None


def _date(row: Mapping[str, Any]) -> str | None:
    if row["started_utc"] is None:
        return "started_utc is missing"
    try:
        datetime.fromisoformat(row["started_utc"])
    except ValueError:
        return f"started_utc is no ISO date: {row['started_utc']!r}"
    return None
